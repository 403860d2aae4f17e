import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { buildApp } from 'fauxqs';
import type { QueueServerOptions } from './queue.ts';
import { serveCalls } from './queue-calls.ts';
import { repairLongPolls, repairQueues } from './queue-repairs.ts';
import { type Listening, stopRequest } from './worker-service.ts';

const { port = 0, calls } = workerData as QueueServerOptions & { calls: MessagePort };
const SqsStore = await repairQueues();
const sqsStore = new SqsStore();
await serveCalls(calls, sqsStore);
const app = buildApp({ logger: false, stores: { sqsStore } } as Parameters<typeof buildApp>[0]);
repairLongPolls(app);
const address = await app.listen({ port, host: '127.0.0.1' });

parentPort?.on('message', async (message) => {
  if (message !== stopRequest) return;
  await app.close();
  calls.close();
  parentPort?.close();
});
parentPort?.postMessage({ port: Number(new URL(address).port) } satisfies Listening);
