import { type LocalService, startWorkerService } from './worker-service.ts';

export type QueueServerOptions = {
  /** Default: any free one. */
  readonly port?: number;
};

/**
 * SQS and S3 (path style) on loopback, in memory: what it forgets is sent anew from the slots. Takes any
 * credentials.
 */
export const startQueueServer = (options: QueueServerOptions = {}): Promise<LocalService> =>
  startWorkerService(new URL('./queue-worker.ts', import.meta.url), options);
