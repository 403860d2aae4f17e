import { expect, test } from 'vitest';
import { openTestApi } from '../../test/support/api.ts';
import { openDatabase } from '../../test/support/database.ts';
import { Lease, LeaseTaker, leaseTimes } from './lease.ts';
import { StoppedTasks } from './stopped.ts';

const objects = { include: [{ schema: 'public' }] };

test('a failed task keeps its slot until the deadline, and can go on; then the slot is dropped, and says so', async () => {
  await using a = await openDatabase('a', { schema: 'create table item (id int primary key)' });
  await using b = await openDatabase('b');
  const api = openTestApi();
  const sideOf = (of: typeof a) => ({ url: `${of.url}?sslmode=disable` });
  const { body: pair } = await api.call('POST', 'pairs', { body: { sides: { a: sideOf(a), b: sideOf(b) } } });
  const task = `${pair.id}_f`;
  const path = `pairs/${pair.id}/tasks/forward`;
  api.clock.at = new Date('2026-03-01T10:00:00Z');
  await api.call('PUT', path, { body: { objects, failedSlotHours: 2 } });
  for (const input of ['precheck', 'precheck-passed', 'start', 'give-up'] as const)
    await api.repository.move(task, input, { cause: 'test', actor: 'test' });
  await api.repository.putStatus(task, {
    ...{ at: '2026-03-01T10:00:00Z', phase: 'streaming', latencySeconds: 0, rowsApplied: 0 },
    ...{ transactionsApplied: 0, conflicts: 0, conflictsByKind: {}, rowsPerSecond: 0, bytesPerSecond: 0 },
    ...{ walRetainedBytes: null, position: null, copy: null, notes: [] },
  });
  await a.query(`select pg_create_logical_replication_slot('pgtwin_sync_${task}', 'pgoutput')`);
  const slots = async () =>
    (await a.rows(`select from pg_replication_slots where slot_name like '%${task}'`)).length;

  const clock = {
    now: () => api.clock.at ?? new Date(),
    sleep: async () => {},
    random: () => 0.5,
  };
  const leases = new LeaseTaker({ table: api.table, owner: 'test', times: leaseTimes, clock });
  const stopped = new StoppedTasks({ ...api.deps, clock }, leases);
  const look = async (minutes: number) => {
    api.clock.at = new Date(Date.parse('2026-03-01T10:00:00Z') + minutes * 60_000);
    await stopped.look(await api.repository.getTask(task));
    return api.repository.getTask(task);
  };

  await a.query('insert into item select generate_series(1, 1000)');
  expect((await look(119)).error).toBeUndefined();
  expect(await slots()).toBe(1);
  const { walRetainedBytes } = (await api.repository.getStatus(task))!;
  expect(walRetainedBytes).toBeGreaterThan(10_000);

  // While another capture has the task, its slot is left alone.
  const other = new LeaseTaker({ table: api.table, owner: 'other', times: leaseTimes, clock });
  const taken = await other.take(task);
  expect(taken).toBeInstanceOf(Lease);
  await look(121);
  expect(await slots()).toBe(1);
  await taken?.release();

  const over = await look(122);
  expect(await slots()).toBe(0);
  expect(over).toMatchObject({ state: 'Failed', error: { code: 'slot-lost' } });
  expect(over.events.at(-1)).toMatchObject({ input: 'slot-dropped', actor: 'capture' });
  expect(over.failedSince).toBe('2026-03-01T10:00:00.000Z');
  const again = await look(200);
  expect(again.version).toBe(over.version);
  expect((await api.call('GET', path)).body.allowedActions).toEqual(['retry', 'restart', 'release']);
});

test('a task that is taken up again before the deadline begins anew to count', async () => {
  const api = openTestApi();
  api.clock.at = new Date('2026-03-01T10:00:00Z');
  await api.repository.createPair({
    ...{ id: 'pair0001', name: 'x', pool: 'default', arbiter: 'b', shards: 1, createdAt: '' },
    sides: { a: endpointOf('a'), b: endpointOf('b') },
  });
  const why = { cause: 'test', actor: 'test' };
  await api.call('PUT', 'pairs/pair0001/tasks/forward', { body: { objects } });
  for (const input of ['precheck', 'precheck-passed', 'start', 'give-up'] as const)
    await api.repository.move('pair0001_f', input, why);
  expect((await api.repository.move('pair0001_f', 'retry', why)).failedSince).toBeUndefined();
  api.clock.at = new Date('2026-03-05T10:00:00Z');
  expect((await api.repository.move('pair0001_f', 'give-up', why)).failedSince).toBe(
    '2026-03-05T10:00:00.000Z',
  );
});

const endpointOf = (host: string) => ({
  ...{ host, port: 5432, database: 'd', user: 'u', secret: 'local:x', tls: 'disable' as const },
});

test.each([
  ['retryConnectionMinutes', 9],
  ['retryConnectionMinutes', 1441],
  ['retryOtherMinutes', 0],
  ['retryOtherMinutes', 1441],
  ['failedSlotHours', 0],
])('%s may not be %i', async (field, value) => {
  const api = openTestApi();
  await api.repository.createPair({
    ...{ id: 'pair0001', name: 'x', pool: 'default', arbiter: 'b', shards: 1, createdAt: '' },
    sides: { a: endpointOf('a'), b: endpointOf('b') },
  });
  const answer = await api.call('PUT', 'pairs/pair0001/tasks/forward', { body: { objects, [field]: value } });
  expect(answer).toMatchObject({ status: 422, body: { field } });
});
