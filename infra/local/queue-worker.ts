import { parentPort, workerData } from 'node:worker_threads';
import { buildApp } from 'fauxqs';
import type { QueueServerOptions } from './queue.ts';
import { repairLongPolls, repairQueues } from './queue-repairs.ts';
import { type Listening, stopRequest } from './worker-service.ts';

const { port = 0 } = workerData as QueueServerOptions;
await repairQueues();
const app = buildApp({ logger: false });
repairLongPolls(app);
const address = await app.listen({ port, host: '127.0.0.1' });

parentPort?.on('message', async (message) => {
  if (message !== stopRequest) return;
  await app.close();
  parentPort?.close();
});
parentPort?.postMessage({ port: Number(new URL(address).port) } satisfies Listening);
