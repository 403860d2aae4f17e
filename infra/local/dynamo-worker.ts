import { once } from 'node:events';
import type { Server } from 'node:http';
import { createRequire } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import type { TableServerOptions } from './dynamo.ts';
import { type Listening, stopRequest } from './worker-service.ts';

type DynaliteOptions = {
  readonly path?: string;
  readonly createTableMs: number;
  readonly deleteTableMs: number;
  readonly updateTableMs: number;
};
// dynalite has no types.
const dynalite = createRequire(import.meta.url)('dynalite') as (options: DynaliteOptions) => Server;

const { dataDir, port = 0 } = workerData as TableServerOptions;
const server = dynalite({
  ...(dataDir ? { path: dataDir } : {}),
  createTableMs: 0,
  deleteTableMs: 0,
  updateTableMs: 0,
});
server.listen(port, '127.0.0.1');
await once(server, 'listening');

parentPort?.on('message', async (message) => {
  if (message !== stopRequest) return;
  const closed = new Promise((done) => server.close(done));
  server.closeAllConnections();
  await closed;
  parentPort?.close();
});
parentPort?.postMessage({ port: (server.address() as { port: number }).port } satisfies Listening);
