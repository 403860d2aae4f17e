import type { Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createTableIfMissing, openTable } from '../../shared/aws/table.ts';
import { openLog } from '../../shared/log/log.ts';
import type { Measured } from '../../shared/log/metrics.ts';
import { metricLine } from '../../shared/log/metrics.ts';
import { readHistory } from '../../shared/task/history.ts';
import { Repository } from '../../shared/task/repository.ts';
import { type TaskStatus, taskConfig, taskIdOf } from '../../shared/task/schema.ts';
import { history } from './duties/history.ts';
import type { Duty } from './duty.ts';
import { duties, runRound } from './round.ts';

const dynalite = createRequire(import.meta.url)('dynalite') as (options: object) => Server;
const server = dynalite({ createTableMs: 0 });
let repository: Repository;
let now = new Date('2026-01-01T00:00:00Z');
let lines: string[] = [];
let measured: Measured[] = [];
let dead = 0;
let tables = 0;

beforeAll(() => new Promise<void>((ready) => server.listen(0, '127.0.0.1', () => ready())));
afterAll(() => new Promise((closed) => server.close(closed)));
beforeEach(async () => {
  const aws = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    region: 'eu-central-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  };
  const name = `pgtwin-${++tables}`;
  await createTableIfMissing(name, aws);
  repository = new Repository(openTable(name, aws), () => now);
  lines = [];
  measured = [];
  dead = 0;
});

const noSenders = {
  topics: { publish: async () => {} },
  secrets: { get: async () => '' },
  defaultTopic: undefined,
};
const later = (minutes: number) => {
  now = new Date(now.getTime() + minutes * 60_000);
};
const round = (all?: readonly Duty[]) =>
  runRound(
    {
      now,
      prefix: 'twin',
      repository,
      delivery: { depth: async () => ({ waiting: 3, dead }) },
      log: openLog({ write: (line) => lines.push(line) }),
      emit: (m) => measured.push(m),
      senders: noSenders,
    },
    all,
  );

/** A pair whose forward task is Running. */
async function running(id: string, host: string, retryConnectionMinutes: number) {
  const side = (name: string) => ({
    host: name,
    port: 5432,
    database: 'app',
    user: 'u',
    secret: 'local:x',
    tls: 'disable' as const,
  });
  await repository.createPair({
    id,
    name: id,
    pool: 'default',
    arbiter: 'b',
    shards: 1,
    sides: { a: side(host), b: side(`${id}-b`) },
    createdAt: now.toISOString(),
  });
  const config = taskConfig.parse({ objects: { include: [{ schema: 'public' }] }, retryConnectionMinutes });
  const taskId = taskIdOf(id, 'forward');
  const why = { cause: 'test', actor: 'test' };
  await repository.configure(taskId, config, false, why);
  for (const input of ['precheck', 'precheck-passed', 'start', 'initialized'] as const)
    await repository.move(taskId, input, why);
  return taskId;
}

const fail = (taskId: string, code: string) =>
  repository.move(taskId, 'error', {
    cause: 'test',
    actor: 'test',
    error: { code, detail: 'd', advice: 'a', at: now.toISOString() },
  });
const stateOf = async (taskId: string) => (await repository.getTask(taskId)).state;

test('a task that retries a connection gives up after its minutes, with an event, and not before', async () => {
  const task = await running('single', 'db1', 60);
  await fail(task, 'database-unreachable');
  later(59);
  await round();
  expect(await stateOf(task)).toBe('Retrying');
  later(1);
  expect(await round()).toEqual([]);
  const failed = await repository.getTask(task);
  expect(failed).toMatchObject({ state: 'Failed', returnTo: 'Running' });
  expect(failed.error?.code).toBe('database-unreachable');
  expect(failed.events.at(-1)).toMatchObject({ input: 'give-up', actor: 'monitor' });
  expect(failed.events.at(-1)?.cause).toContain('60 minutes');
});

test('the clock is that of the error: another error has its own minutes, a lasting one none', async () => {
  const [other, unknown, lasting] = [
    await running('other', 'db2', 60),
    await running('unknown', 'db3', 60),
    await running('lasting', 'db4', 60),
  ];
  await fail(other, 'change-refused');
  await fail(unknown, 'of-a-newer-version');
  await fail(lasting, 'slot-lost');
  await round();
  expect(await Promise.all([other, unknown, lasting].map(stateOf))).toEqual([
    'Retrying',
    'Retrying',
    'Failed',
  ]);
  later(10);
  await round();
  expect(await Promise.all([other, unknown].map(stateOf))).toEqual(['Failed', 'Failed']);
});

test('of tasks that share a database, the shortest time for connections counts', async () => {
  const patient = await running('patient', 'DB.shared', 1000);
  const strict = await running('strict', 'db.shared', 15);
  const apart = await running('apart', 'db.apart', 1000);
  for (const task of [patient, apart]) await fail(task, 'database-unreachable');
  later(15);
  await round();
  expect(await stateOf(patient)).toBe('Failed');
  expect(await stateOf(apart)).toBe('Retrying');
  expect(await stateOf(strict)).toBe('Running');
});

test('figures, states and queues become metrics; a capture that went silent is late', async () => {
  const task = await running('figures', 'db5', 60);
  const status: TaskStatus = {
    at: now.toISOString(),
    phase: 'streaming',
    latencySeconds: 0.2,
    rowsApplied: 10,
    transactionsApplied: 2,
    conflicts: 1,
    conflictsByKind: { insert_exists: 1 },
    rowsPerSecond: 5,
    bytesPerSecond: 500,
    walRetainedBytes: null,
    position: null,
    copy: null,
    notes: [],
  };
  await repository.putStatus(task, status);
  dead = 2;
  await round();
  const values = (...names: string[]) =>
    names.map((name) => measured.flatMap((m) => m.metrics).find((m) => m.name === name)?.value);
  expect(values('LatencySeconds', 'Conflicts', 'TasksRunning', 'MessagesWaiting', 'MessagesDead')).toEqual([
    0.2, 1, 1, 3, 2,
  ]);
  expect(measured.find((m) => m.dimensions['Kind'] === 'insert_exists')).toMatchObject({
    dimensions: { Task: task },
    metrics: [{ name: 'ConflictsOfKind', unit: 'Count', value: 1 }],
  });
  expect(values('WalRetainedBytes')).toEqual([undefined]);
  expect(lines.some((line) => line.includes('dead-letter queue'))).toBe(true);
  measured = [];
  later(10);
  await round();
  expect(values('LatencySeconds', 'RowsPerSecond')).toEqual([600.2, 0]);
});

test('a failed task is named in the log as an error with its advice', async () => {
  const task = await running('broken', 'db6', 60);
  await fail(task, 'slot-lost');
  await round();
  const line = lines.map((l) => JSON.parse(l)).find((l) => l.text === 'task is failed');
  expect(line).toMatchObject({ level: 'error', task, code: 'slot-lost', advice: 'a' });
});

test('a duty that throws is named and does not stop the others', async () => {
  const broken: Duty = { name: 'broken', run: () => Promise.reject(new Error('no')) };
  expect(await round([broken, ...duties])).toEqual(['broken']);
  expect(measured.some((m) => m.metrics.some((metric) => metric.name === 'TasksFailed'))).toBe(true);
});

test('a metric line is CloudWatch embedded metric format', () => {
  const line = metricLine(
    {
      dimensions: { Environment: 'twin', Task: 't' },
      metrics: [{ name: 'LatencySeconds', unit: 'Seconds', value: 1.5 }],
      facts: { pair: 'p' },
    },
    new Date(1000),
  );
  expect(JSON.parse(line)).toEqual({
    _aws: {
      Timestamp: 1000,
      CloudWatchMetrics: [
        {
          Namespace: 'pgtwin',
          Dimensions: [['Environment', 'Task']],
          Metrics: [{ Name: 'LatencySeconds', Unit: 'Seconds' }],
        },
      ],
    },
    pair: 'p',
    Environment: 'twin',
    Task: 't',
    LatencySeconds: 1.5,
  });
});

test('figures are kept by the minute, also of a capture that says nothing any more; what stands still is left out', async () => {
  const task = await running('histpair', 'db9', 60);
  const status: TaskStatus = {
    ...{ at: now.toISOString(), phase: 'streaming', latencySeconds: 0.5, rowsApplied: 1 },
    ...{ transactionsApplied: 1, conflicts: 0, conflictsByKind: {}, rowsPerSecond: 10, bytesPerSecond: 2000 },
    ...{ walRetainedBytes: 0, position: null, copy: null, notes: [] },
  };
  await repository.putStatus(task, status);
  await round([history]);
  later(1);
  await round([history]);
  for (const input of ['pause', 'paused'] as const)
    await repository.move(task, input, { cause: 'test', actor: 'test' });
  later(1);
  await round([history]);
  const points = await readHistory(repository.table, task, now);
  expect(points.map(({ latencySeconds, rowsPerSecond }) => [latencySeconds, rowsPerSecond])).toEqual([
    [0.5, 10],
    [60.5, 0],
  ]);
});
