import { setTimeout as pause } from 'node:timers/promises';
import { styleText } from 'node:util';
import { asPgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { demo } from './demo.ts';
import { readDemoOptions, usage } from './options.ts';
import { Screen } from './screen.ts';

/** How long what was interrupted may take to end by itself before what it uses is taken away. */
const GRACE_MS = 5_000;
const INTERRUPTED = 130;

/** `npm run demo`. Exit code 0 only if both databases end equal. */
async function main(): Promise<number> {
  const options = readDemoOptions(process.argv.slice(2));
  if (options.help) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      if (interrupted.signal.aborted) process.exit(INTERRUPTED);
      interrupted.abort();
    });
  const screen = new Screen();
  const { signal } = interrupted;
  const open = new AsyncDisposableStack();
  const work = demo({ options, screen, open, signal });
  try {
    await Promise.race([work, rejectionOf(signal)]);
    return (await work) ? 0 : 1;
  } catch (error) {
    if (!signal.aborted) throw error;
    screen.say(styleText('yellow', 'Interrupted: stopping the databases and the platform.'));
    await Promise.race([work.catch(() => undefined), pause(GRACE_MS)]);
    return INTERRUPTED;
  } finally {
    screen.endLive();
    await open.disposeAsync();
  }
}

const rejectionOf = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));

main().then(
  (code) => process.exit(code),
  (thrown: unknown) => {
    const { message } = asPgtwinError(thrown);
    process.stderr.write(`${styleText('red', 'The demo failed:', { stream: process.stderr })} ${message}\n`);
    process.exit(1);
  },
);
