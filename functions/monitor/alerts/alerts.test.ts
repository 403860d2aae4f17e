import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openLog } from '../../../shared/log/log.ts';
import { Repository } from '../../../shared/task/repository.ts';
import { type TaskStatus, taskConfig, taskIdOf } from '../../../shared/task/schema.ts';
import { type MemoryTable, openMemoryTable } from '../../../test/support/memory-table.ts';
import { alerts } from '../duties/alerts.ts';
import { runRound } from '../round.ts';
import { signatureOf } from './deliver.ts';

const SECRET = 'the secret of the receiver';
const WEBHOOK = 'local:webhook';
type Received = { readonly headers: IncomingHttpHeaders; readonly body: string };

let now = new Date('2026-01-01T00:00:00Z');
let table: MemoryTable;
let repository: Repository;
let received: Received[];
let published: { arn: string; subject: string; message: string }[];
/** Status of the receiver's answers; 0: it does not answer. */
let answers: number[];
let lines: string[];
let receiver: Server;

beforeEach(async () => {
  now = new Date('2026-01-01T00:00:00Z');
  table = openMemoryTable();
  repository = new Repository(table, () => now);
  [received, published, answers, lines] = [[], [], [], []];
  receiver = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => {
      body += part;
    });
    request.on('end', () => {
      received.push({ headers: request.headers, body });
      const status = answers.shift() ?? 204;
      if (status > 0) response.writeHead(status).end();
    });
  });
  await new Promise<void>((ready) => receiver.listen(0, '127.0.0.1', ready));
});
afterEach(() => {
  receiver.closeAllConnections();
  receiver.close();
});

const later = (minutes: number) => {
  now = new Date(now.getTime() + minutes * 60_000);
};
/** One round of a monitor that has just started: it knows only what is stored. */
const round = () =>
  runRound(
    {
      ...{ now, prefix: 'twin', repository },
      delivery: { depth: async () => ({ waiting: 0, dead: 0 }) },
      log: openLog({ write: (line) => lines.push(line) }),
      emit: () => {},
      senders: {
        secrets: { get: async (reference) => (reference === WEBHOOK ? SECRET : '') },
        topics: {
          publish: async (arn, subject, message) => void published.push({ arn, subject, message }),
        },
        timeoutMs: 500,
        defaultTopic: 'arn:aws:sns:eu-central-1:111111111111:all',
      },
    },
    [alerts],
  );

async function running(more: object = {}) {
  const id = 'pair0001';
  const side = (host: string) => ({
    ...{ host, port: 5432, database: 'app', user: 'u', secret: 'local:x', tls: 'disable' as const },
  });
  await repository.createPair({
    ...{ id, name: 'shop', pool: 'default', arbiter: 'b', shards: 1, createdAt: now.toISOString() },
    sides: { a: side('a'), b: side('b') },
  });
  const { port } = receiver.address() as AddressInfo;
  const webhook = { url: `http://127.0.0.1:${port}/hook`, secret: WEBHOOK };
  const objects = { include: [{ schema: 'public' }] };
  const task = taskIdOf(id, 'forward');
  const why = { cause: 'test', actor: 'test' };
  await repository.configure(task, taskConfig.parse({ objects, alerts: { webhook, ...more } }), false, why);
  for (const input of ['precheck', 'precheck-passed', 'start', 'initialized'] as const)
    await repository.move(task, input, why);
  return task;
}
const fail = (task: string) =>
  repository.move(task, 'give-up', {
    ...{ cause: 'test', actor: 'test' },
    error: { code: 'slot-lost', detail: 'd', advice: 'a', at: now.toISOString() },
  });
const late = (task: string, latencySeconds: number) =>
  repository.putStatus(task, {
    ...{ at: now.toISOString(), phase: 'streaming', latencySeconds, rowsApplied: 0, transactionsApplied: 0 },
    ...{ conflicts: 0, conflictsByKind: {}, rowsPerSecond: 0, bytesPerSecond: 0, walRetainedBytes: null },
    ...{ position: null, copy: null, notes: [] },
  } satisfies TaskStatus);
const bodies = () => received.map(({ body }) => JSON.parse(body));

test('a failure is told once to webhook and topic, and once when it is over, whoever looks and how often', async () => {
  const task = await running();
  await round();
  expect(received).toEqual([]);
  await fail(task);
  for (let n = 0; n < 3; n++) {
    await round();
    later(1);
  }
  expect(bodies()).toMatchObject([
    {
      ...{ event: 'raised', kind: 'failure', environment: 'twin', pair: { name: 'shop' } },
      text: 'shop (pair0001), forward: is Failed',
      task: { id: task, direction: 'forward', state: 'Failed' },
      facts: { error: { code: 'slot-lost', advice: 'a' } },
    },
  ]);
  expect(published).toMatchObject([
    {
      arn: 'arn:aws:sns:eu-central-1:111111111111:all',
      subject: 'pgtwin: shop (pair0001), forward: is Failed',
    },
  ]);
  await repository.move(task, 'retry', { cause: 'test', actor: 'test' });
  for (let n = 0; n < 2; n++) await round();
  expect(bodies().map(({ event }) => event)).toEqual(['raised', 'recovered']);
  expect(published).toHaveLength(2);
  // A second failure is another one.
  await fail(task);
  await round();
  expect(bodies().map(({ event }) => event)).toEqual(['raised', 'recovered', 'raised']);
  expect(new Set(bodies().map(({ id }) => id)).size).toBe(3);
});

test('the receiver can tell who sent it, and when', async () => {
  await fail(await running());
  await round();
  const { headers, body } = received[0]!;
  const timestamp = String(headers['pgtwin-timestamp']);
  expect(Number(timestamp)).toBe(now.getTime() / 1000);
  expect(headers['pgtwin-signature']).toBe(signatureOf(SECRET, timestamp, body));
  expect(headers['pgtwin-signature']).not.toBe(signatureOf(SECRET, timestamp, `${body} `));
  expect(headers['pgtwin-alert-id']).toBe(JSON.parse(body).id);
  expect(lines.join() + body).not.toContain(SECRET);
});

test('latency over the threshold, with room on the edge', async () => {
  const task = await running({ latencySeconds: 10, failure: false });
  const look = async (seconds: number) => {
    later(1);
    await late(task, seconds);
    await round();
    return bodies().map(({ event, facts }) => `${event} ${facts.latencySeconds}`);
  };
  expect(await look(9)).toEqual([]);
  expect(await look(12)).toEqual(['raised 12']);
  expect(await look(9)).toEqual(['raised 12']);
  expect(await look(30)).toEqual(['raised 12']);
  expect(await look(1)).toEqual(['raised 12', 'recovered 1']);
  await fail(task);
  await round();
  expect(bodies()).toHaveLength(2);
  expect(bodies()[0]).toMatchObject({ kind: 'latency', facts: { thresholdSeconds: 10 } });
});

test('a capture that went silent is late', async () => {
  const task = await running({ latencySeconds: 60 });
  await late(task, 0);
  later(5);
  await round();
  expect(bodies()).toMatchObject([{ kind: 'latency', event: 'raised', facts: { latencySeconds: 300 } }]);
});

test('a receiver that refuses is tried again with growing pauses, in order, and given up after a day', async () => {
  const task = await running();
  answers = [500, 503, 204, 204];
  await fail(task);
  await round();
  await repository.move(task, 'retry', { cause: 'test', actor: 'test' });
  await round();
  expect(received).toHaveLength(1);
  later(1);
  await round();
  later(1);
  await round();
  // The second pause is two minutes; what was told later waits behind it.
  expect(received).toHaveLength(2);
  later(1);
  await round();
  await round();
  expect(bodies().map(({ event }) => event)).toEqual(['raised', 'raised', 'raised', 'recovered']);
  expect(new Set(bodies().map(({ id }) => id)).size).toBe(2);
  expect(received.map(({ headers }) => headers['pgtwin-timestamp'])).toHaveLength(4);

  answers = Array.from({ length: 100 }, () => 500);
  await fail(task);
  for (let n = 0; n < 26; n++) {
    await round();
    later(60);
  }
  expect(lines.some((line) => line.includes('alert given up'))).toBe(true);
  const tries = received.length;
  later(120);
  await round();
  expect(received).toHaveLength(tries);
});

test('of two monitors at once only one tells; a receiver that never answers holds up nothing', async () => {
  const task = await running();
  await fail(task);
  await Promise.all([round(), round(), round()]);
  expect(received).toHaveLength(1);
  expect(published).toHaveLength(1);
  await repository.move(task, 'retry', { cause: 'test', actor: 'test' });
  answers = [0];
  const start = performance.now();
  expect(await round()).toEqual([]);
  expect(performance.now() - start).toBeLessThan(4_000);
  expect(published).toHaveLength(2);
});
