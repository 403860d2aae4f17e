import { flushCompileCache } from 'node:module';
import { pathToFileURL } from 'node:url';

export type Invocation = { readonly id: string; readonly event: unknown; readonly deadlineMs: number };
/** An error as data: only its own fields would survive the way between processes. */
export type Thrown = {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly code: string | undefined;
};
export type Answer = 'ready' | { readonly result: unknown } | { readonly thrown: Thrown };
type Handler = (event: unknown, context: object) => Promise<unknown>;

const [entry = '', functionName = '', memoryMb = ''] = process.argv.slice(2);
const answer = (value: Answer): void => void process.send?.(value);

// Without a host nobody wants the result. What a transaction had not committed is rolled back, as on a crash.
process.on('disconnect', () => process.exit());

try {
  const { handler } = (await import(pathToFileURL(entry).href)) as { readonly handler?: Handler };
  if (typeof handler !== 'function') throw new TypeError(`${entry} exports no function named handler`);
  process.on('message', (invocation: Invocation) => carryOut(handler, invocation));
  // An environment is ended by a signal, before the end of the process would write it.
  flushCompileCache();
  answer('ready');
} catch (error) {
  answer({ thrown: thrown(error) });
  process.disconnect();
}

async function carryOut(handler: Handler, { id, event, deadlineMs }: Invocation): Promise<void> {
  const context = {
    awsRequestId: id,
    functionName,
    memoryLimitInMB: memoryMb,
    getRemainingTimeInMillis: () => deadlineMs - Date.now(),
  };
  try {
    answer({ result: await handler(event, context) });
  } catch (error) {
    answer({ thrown: thrown(error) });
  }
}

function thrown(value: unknown): Thrown {
  const error = (value instanceof Error ? value : new Error(String(value))) as Error & { code?: unknown };
  const { name, message, stack, code } = error;
  return { name, message, stack, code: typeof code === 'string' ? code : undefined };
}
