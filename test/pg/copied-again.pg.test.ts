import { afterAll, beforeAll, expect, test } from 'vitest';
import { openPlatform, openTwin, type TestPlatform } from '../support/twin.ts';
import { until } from '../support/wait.ts';

let on: TestPlatform;
beforeAll(async () => {
  on = await openPlatform();
});
afterAll(async () => {
  await on?.[Symbol.asyncDispose]();
});

test('a copy that begins anew under a later snapshot: what the stream repeats of its own side is no conflict', async () => {
  const snapshots = /* sql */ `from pg_stat_activity
    where datname = current_database() and application_name like 'pgtwin % snapshot'`;
  let ended: unknown[] = [];
  await using twin = await openTwin(on, {
    schema: `create table item (id int primary key, n int not null default 0);
             insert into item select g from generate_series(1, 1000) g`,
    // Slow enough that the copy is under way when its snapshot is lost.
    forward: { conflictPolicy: 'task-failed', limits: { full: { rowsPerSecond: 300 } } },
    async whileStarting(a) {
      await until('a snapshot', async () => (await a.superuserRows(`select pid ${snapshots}`)).length > 0);
      await a.query('insert into item select g from generate_series(1001, 1100) g');
      await a.query('update item set n = 1 where id > 950');
      await a.query('delete from item where id = 1100; insert into item values (1100, 7)');
      ended = await a.superuserRows(`select pg_terminate_backend(pid) ${snapshots}`);
    },
  });
  expect(ended).not.toEqual([]);
  await twin.a.query('update item set n = n + 1');
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
  expect(await twin.b.rows('select count(*)::int as n, sum(n)::int as s from item')).toEqual([
    { n: 1100, s: 1256 },
  ]);
  expect(await twin.conflicts()).toEqual([]);
});
