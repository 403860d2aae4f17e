import { MessageChannel } from 'node:worker_threads';
import type { SqsPort } from './event-source.ts';
import { QueueCalls } from './queue-port.ts';
import { type LocalService, startWorkerService } from './worker-service.ts';

export type QueueServerOptions = {
  /** Default: any free one. */
  readonly port?: number;
};

export type QueueServer = LocalService & {
  /** A queue for an event source in this process, past HTTP. */
  open(queueUrl: string): SqsPort;
  /** URLs of the queues whose names begin so. */
  list(prefix: string): Promise<readonly string[]>;
};

/**
 * SQS and S3 (path style) on loopback, in memory: what it forgets is sent anew from the slots. Takes any
 * credentials.
 */
export async function startQueueServer(options: QueueServerOptions = {}): Promise<QueueServer> {
  const { port1, port2 } = new MessageChannel();
  const module = new URL('./queue-worker.ts', import.meta.url);
  const service = await startWorkerService(module, { ...options, calls: port2 }, [port2]);
  const calls = new QueueCalls(port1);
  return { ...service, open: (queueUrl) => calls.open(queueUrl), list: (prefix) => calls.list(prefix) };
}
