import { afterAll, beforeAll, expect, test } from 'vitest';
import { cross } from '../support/crossed.ts';
import { openPlatform, openTwin, type TestPlatform, type Twin } from '../support/twin.ts';
import { until } from '../support/wait.ts';

let on: TestPlatform;
beforeAll(async () => {
  on = await openPlatform();
});
afterAll(async () => {
  await on?.[Symbol.asyncDispose]();
});

const schema = `create table item (id int primary key, n int not null default 0, t text);
  insert into item select g, 0, 'row' from generate_series(1, 20) g`;

type Conflict = {
  id: string;
  kind: string;
  result: string;
  key: { id: string };
  sourceRow: Record<string, string> | null;
  destinationRow: Record<string, string> | null;
  sourceHash: string | null;
  offers: string[];
  choice?: { take: string; by: string };
};

const path = (twin: Twin) => `/v1/pairs/${twin.pair}/tasks/forward`;

/** The conflict that the forward task has stopped at. */
async function stopped(twin: Twin): Promise<Conflict> {
  await twin.reach('forward', 'Failed');
  const { error } = await on.call<{ error: { code: string; conflict: string } }>('GET', path(twin));
  expect(error.code).toBe('conflict-stops-task');
  return on.call<Conflict>('GET', `${path(twin)}/conflicts/${error.conflict}`);
}

async function resolve(twin: Twin, { id }: Conflict, take: 'source' | 'destination'): Promise<void> {
  const answer = await on.call<Conflict>('POST', `${path(twin)}/conflicts/${id}/resolve`, { take });
  expect(answer.choice).toMatchObject({ take, by: 'test' });
  await twin.act('forward', 'retry');
}

test('task-failed: the task stops at each conflict, and goes on with what was chosen; the reverse runs meanwhile', async () => {
  await using twin = await openTwin(on, { schema, forward: { conflictPolicy: 'task-failed' } });
  await cross(
    twin,
    `begin; update item set n = 1, t = 'a' where id <= 3; insert into item values (30, 1, 'a'); commit`,
    `update item set n = 2, t = 'b' where id <= 3; insert into item values (30, 2, 'b')`,
  );
  const seen: string[] = [];
  for (const take of ['source', 'destination', 'source', 'destination'] as const) {
    const conflict = await stopped(twin);
    expect(conflict).toMatchObject({
      result: 'stopped',
      offers: ['take-source', 'keep-destination', 'retry'],
      sourceRow: { n: '1', t: 'a' },
      destinationRow: { n: '2', t: 'b' },
    });
    seen.push(conflict.key.id);
    if (seen.length === 1) {
      // Tried again without a choice it stops again, at the same line of the log.
      await twin.act('forward', 'retry');
      await until('the task has stopped again', async () => {
        const { events } = await on.call<{ events: { to: string }[] }>('GET', path(twin));
        return events.filter(({ to }) => to === 'Failed').length === 2;
      });
      expect((await stopped(twin)).id).toBe(conflict.id);
      await twin.b.query(`insert into item values (99, 9, 'from b')`);
      await until('the reverse task goes on', async () => {
        const rows = await twin.a.rows('select from item where id = 99');
        return rows.length === 1;
      });
    }
    await resolve(twin, conflict, take);
  }
  await twin.reach('forward', 'Running');
  await twin.settle();
  expect(seen).toEqual(['1', '2', '3', '30']);
  expect(await twin.differences()).toEqual([]);
  expect(await twin.a.rows('select id, n from item where id in (1, 2, 3, 30) order by id')).toEqual([
    { id: 1, n: 1 },
    { id: 2, n: 2 },
    { id: 3, n: 1 },
    { id: 30, n: 2 },
  ]);
  const log = await twin.conflicts();
  const lines = (policy: string) => log.filter((each) => each['policy'] === policy);
  expect(lines('task-failed').map((each) => each['result'])).toEqual(Array(4).fill('stopped'));
  expect(new Set(lines('chosen').map((each) => JSON.stringify([each['key'], each['result']]))).size).toBe(4);
  const { offers } = await on.call<Conflict>('GET', `${path(twin)}/conflicts/${log[0]!['id']}`);
  expect(offers).toEqual([]);
});

test('a choice holds for all changes of the key that the conflict stood for, also for a key change', async () => {
  await using twin = await openTwin(on, { schema, forward: { conflictPolicy: 'task-failed' } });
  const several = Array.from({ length: 5 }, (_, n) => `update item set n = ${n + 1}, t = 'a' where id = 1;`);
  await cross(
    twin,
    `begin; ${several.join(' ')} commit; update item set id = 40 where id = 2`,
    `update item set n = 70 where id = 1; update item set n = 70 where id = 2`,
  );
  const first = await stopped(twin);
  expect(first).toMatchObject({ key: { id: '1' }, sourceRow: { n: '5' } });
  await resolve(twin, first, 'source');
  const second = await stopped(twin);
  expect(second).toMatchObject({ kind: 'key_change', key: { id: '40' } });
  await resolve(twin, second, 'source');
  await twin.reach('forward', 'Running');
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
  expect(await twin.b.rows('select id, n from item where id in (1, 2, 40) order by id')).toEqual([
    { id: 1, n: 5 },
    { id: 40, n: 0 },
  ]);
});

test('only a conflict that stopped the task can be resolved; a log without rows; counted by kind', async () => {
  await using twin = await openTwin(on, {
    schema,
    forward: { conflictPolicy: 'ignore', conflictLog: { rows: 'hash', retentionDays: 1 } },
  });
  await cross(twin, 'update item set n = 1 where id <= 2', 'update item set n = 2 where id <= 2');
  await twin.settle();
  const { conflicts } = await on.call<{ conflicts: Conflict[] }>(
    'GET',
    `${path(twin)}/conflicts?kind=update_origin_differs&policy=ignore&limit=1`,
  );
  expect(conflicts).toMatchObject([
    { sourceRow: null, destinationRow: null, sourceHash: expect.stringMatching(/^[0-9a-f]{64}$/) },
  ]);
  const resolving = on.call('POST', `${path(twin)}/conflicts/${conflicts[0]!.id}/resolve`, {
    take: 'source',
  });
  await expect(resolving).rejects.toThrow(/409.*is decided already/);
  await expect(on.call('GET', `${path(twin)}/conflicts/123456`)).rejects.toThrow(/404/);
  await until('the counters are in the status', async (saw) => {
    const { status } = await on.call<{ status?: { conflictsByKind: object } }>('GET', path(twin));
    saw(JSON.stringify(status));
    return JSON.stringify(status?.conflictsByKind) === '{"update_origin_differs":2}';
  });
});

test('lines of the log are forgotten after the days that they are kept', async () => {
  const conflictLog = { rows: 'full', retentionDays: 2 };
  await using twin = await openTwin(on, { schema, forward: { conflictPolicy: 'ignore', conflictLog } });
  await cross(twin, 'update item set n = 1 where id <= 2', 'update item set n = 2 where id <= 2');
  await twin.settle();
  const aged = `update pgtwin.conflict set at = now() - interval '3 days' where key = '{"id": "1"}'`;
  await twin.b.superuserRows(aged);
  // Looked at now and then, and by every new connection.
  await twin.b.superuserRows(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pgtwin apply ${twin.pair}_f'`,
  );
  await twin.a.query('update item set n = 5 where id = 9');
  await twin.settle();
  expect((await twin.conflicts()).map((each) => each['key'])).toEqual([{ id: '2' }]);
});
