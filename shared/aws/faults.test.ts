import http, { type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { type FauxqsServer, startFauxqs } from 'fauxqs';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { openDelivery } from './delivery.ts';
import { openQueue } from './queue.ts';
import { createTableIfMissing, openTable } from './table.ts';

/** What happens to a call: its answer is lost after it was carried out, or it is refused with an AWS error. */
type Fault = 'lose-answer' | { readonly refuse: string };
const identity = { region: 'us-east-1', credentials: { accessKeyId: 'local', secretAccessKey: 'local' } };
const dynalite = createRequire(import.meta.url)('dynalite') as (options: object) => Server;

/** Faults by operation, each used up by one call. */
let faults: { operation: string; fault: Fault }[] = [];
let table: Server;
let queues: FauxqsServer;
const proxies: Server[] = [];
let tableAws: { endpoint: string };
let queueAws: { endpoint: string };

const listen = (server: Server): Promise<number> =>
  new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });

/** Stands between client and server and carries out the faults. */
async function withFaults(port: number): Promise<typeof identity & { endpoint: string }> {
  const proxy = http.createServer((request, response) => {
    const operation = String(request.headers['x-amz-target']).split('.').pop();
    const index = faults.findIndex((f) => f.operation === operation);
    const fault = index < 0 ? undefined : faults.splice(index, 1)[0]?.fault;
    if (typeof fault === 'object') {
      request.resume();
      const headers = { 'content-type': 'application/x-amz-json-1.0' };
      response.writeHead(400, headers).end(JSON.stringify({ __type: `com.amazonaws.sqs#${fault.refuse}` }));
      return;
    }
    const { method, url, headers } = request;
    const forwarded = http.request({ port, host: '127.0.0.1', method, path: url, headers }, (answer) => {
      if (fault === 'lose-answer') {
        answer.resume().once('end', () => response.destroy());
        return;
      }
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    request.pipe(forwarded);
  });
  proxies.push(proxy);
  return { ...identity, endpoint: `http://127.0.0.1:${await listen(proxy)}` };
}

beforeAll(async () => {
  table = dynalite({ createTableMs: 0 });
  tableAws = await withFaults(await listen(table));
  await createTableIfMissing('pgtwin', { ...identity, ...tableAws });
  queues = await startFauxqs({ port: 0, logger: false });
  queueAws = await withFaults(queues.port);
});
afterAll(async () => {
  for (const server of [...proxies, table]) {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  }
  await queues.stop();
});
beforeEach(() => {
  faults = [];
});

test('a conditional put whose answer was lost is repeated and known as our own', async () => {
  const store = openTable('pgtwin', { ...identity, ...tableAws });
  const item = { pk: 'lost', sk: 's', version: 1, body: { owner: 'me' } };
  faults = [{ operation: 'PutItem', fault: 'lose-answer' }];
  expect(await store.put(item, 'absent')).toBe(true);
  faults = [{ operation: 'PutItem', fault: 'lose-answer' }];
  expect(await store.put({ ...item, version: 2 }, 1)).toBe(true);
  expect(faults).toEqual([]);
  expect(await store.get('lost', 's')).toEqual({ ...item, version: 2 });
});

test('a repeated put that somebody else was faster than is refused', async () => {
  const store = openTable('pgtwin', { ...identity, ...tableAws });
  await store.put({ pk: 'race', sk: 's', version: 2, body: { owner: 'other' } }, 'absent');
  faults = [{ operation: 'PutItem', fault: 'lose-answer' }];
  expect(await store.put({ pk: 'race', sk: 's', version: 2, body: { owner: 'me' } }, 1)).toBe(false);
  expect((await store.get('race', 's'))?.body).toEqual({ owner: 'other' });
});

test('a send whose answer was lost is repeated and in the queue once', async () => {
  const delivery = openDelivery({ prefix: 'lost', aws: { ...identity, ...queueAws } });
  const { queueUrl } = await delivery.ensure('t');
  faults = [{ operation: 'SendMessage', fault: 'lose-answer' }];
  const queue = openQueue({ ...identity, ...queueAws });
  await queue.send(queueUrl, { body: 'x', group: 'g', deduplication: 'd' });
  expect(faults).toEqual([]);
  expect(await delivery.depth('t')).toEqual({ waiting: 1, dead: 0 });
});

test('a queue that was deleted less than a minute ago is waited for; other refusals are not', async () => {
  const slept: number[] = [];
  const sleep = async (ms: number) => slept.push(ms);
  const delivery = openDelivery({ prefix: 'recent', aws: { ...identity, ...queueAws }, sleep });
  const refused = { operation: 'CreateQueue', fault: { refuse: 'QueueDeletedRecently' } };
  faults = [refused, refused, refused];
  const { queueUrl } = await delivery.ensure('t');
  expect(queueUrl).toContain('recent-t.fifo');
  expect(slept).toEqual([5_000, 5_000, 5_000]);

  faults = Array.from({ length: 100 }, () => refused);
  await expect(delivery.ensure('u')).rejects.toMatchObject({
    code: 'queue-unavailable',
    facts: { awsError: 'QueueDeletedRecently' },
  });
  expect(slept.reduce((sum, ms) => sum + ms)).toBeLessThan(120_000);

  slept.length = 0;
  faults = [{ operation: 'CreateQueue', fault: { refuse: 'InvalidAttributeValue' } }];
  await expect(delivery.ensure('v')).rejects.toMatchObject({ code: 'queue-unavailable' });
  expect(slept).toEqual([]);
});
