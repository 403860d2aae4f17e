import type { MessagePort } from 'node:worker_threads';
import { withClient } from './queue-repairs.ts';

/** An SQS action by its name, asked for past HTTP; or the end of one that still waits. */
export type Call =
  | { readonly id: number; readonly action: Action; readonly body: object }
  | { readonly id: number; readonly cancel: true };
const names = ['listQueues', 'receiveMessage', 'deleteMessageBatch', 'changeMessageVisibilityBatch'] as const;
export type Action = (typeof names)[number];
export type CallAnswer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: { readonly name: string; readonly message: string } };

type Run = (body: object, store: unknown) => unknown;

/** Answers calls from the process that the queues live in, with the code that answers HTTP requests. */
export async function serveCalls(port: MessagePort, store: unknown): Promise<void> {
  const actions = new Map<Action, Run>();
  for (const name of names) {
    const file = new URL(`./sqs/actions/${name}.js`, import.meta.resolve('fauxqs'));
    actions.set(name, ((await import(file.href)) as Record<Action, Run>)[name]);
  }
  const waiting = new Map<number, AbortController>();
  port.on('message', async (call: Call) => {
    const { id } = call;
    if ('cancel' in call) return waiting.get(id)?.abort();
    const gone = new AbortController();
    waiting.set(id, gone);
    const answer = (value: CallAnswer) => port.postMessage(value);
    try {
      answer({
        id,
        result: await withClient(gone.signal, async () => actions.get(call.action)!(call.body, store)),
      });
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      answer({ id, error: { name: code ?? 'Error', message } });
    } finally {
      waiting.delete(id);
    }
  });
}
