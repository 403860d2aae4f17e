import { once } from 'node:events';
import { type MessagePort, Worker } from 'node:worker_threads';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';

/** A server of the local platform, in a thread of its own. */
export type LocalService = {
  /** As in `http://127.0.0.1:4566`. */
  readonly endpoint: string;
  readonly port: number;
  stop(): Promise<void>;
};

/** What a service's thread says when it listens, and what it is told to stop. */
export type Listening = { readonly port: number };
export const stopRequest = 'stop';

/**
 * Starts a module as a thread that posts `{ port }` when it listens, and ends by itself after a `stop`. The thread
 * keeps heavy requests off our event loop and dies with this process. A failure while it runs ends the process: a
 * platform without its queue or table can only mislead.
 */
export async function startWorkerService(
  module: URL,
  workerData: object,
  transferList: MessagePort[] = [],
): Promise<LocalService> {
  const worker = new Worker(module, {
    workerData,
    transferList,
    env: { ...process.env },
    name: module.pathname,
  });
  const [{ port }] = (await once(worker, 'message').catch((cause) => {
    throw new PgtwinError('local-server-failed', { detail: `${module.pathname} did not start.` }, { cause });
  })) as [Listening];
  let stopping: Promise<unknown> | undefined;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    port,
    async stop() {
      if (!stopping) {
        stopping = once(worker, 'exit');
        worker.postMessage(stopRequest);
      }
      await stopping;
    },
  };
}
