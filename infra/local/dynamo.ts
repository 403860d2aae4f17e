import { mkdir } from 'node:fs/promises';
import { type LocalService, startWorkerService } from './worker-service.ts';

export type TableServerOptions = {
  /** Where the tables are kept; default: in memory. */
  readonly dataDir?: string;
  /** Default: any free one. */
  readonly port?: number;
};

/** DynamoDB on loopback, without TransactWriteItems. Takes any credentials. */
export async function startTableServer(options: TableServerOptions = {}): Promise<LocalService> {
  if (options.dataDir) await mkdir(options.dataDir, { recursive: true, mode: 0o700 });
  return await startWorkerService(new URL('./dynamo-worker.ts', import.meta.url), options);
}
