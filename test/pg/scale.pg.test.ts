import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openPlatform, openTwin, type TestPlatform, type Twin } from '../support/twin.ts';

let on: TestPlatform;
let twin: Twin;
beforeAll(async () => {
  on = await openPlatform();
  twin = await openTwin(on, {
    schema: `create table item (id bigint primary key, n int not null, t text, at timestamptz not null default now())`,
  });
});
afterAll(async () => {
  await twin?.[Symbol.asyncDispose]();
  await on?.[Symbol.asyncDispose]();
});

/** The most memory that a process has had so far, in MB. */
function peakMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)![1]) / 1024;
}

function expectLittleMemory(): void {
  const { capturePid, apply } = on.platform;
  const capture = peakMb(capturePid!);
  const invocations = apply.environments.map(peakMb);
  process.stdout.write(
    `peak memory: capture ${capture.toFixed()} MB, apply ${invocations.map((n) => n.toFixed())} MB\n`,
  );
  expect(capture).toBeLessThan(300);
  for (const invocation of invocations) expect(invocation).toBeLessThan(512);
}

test('10,000 transactions of ten rows arrive', async () => {
  await twin.a.query(/* sql */ `
    create procedure fill() language plpgsql as $$
      begin
        for n in 1..10000 loop
          insert into item select n * 10 + i, n, 'row ' || i, now() from generate_series(0, 9) i;
          commit;
        end loop;
      end $$`);
  await twin.a.query('call fill()');
  await twin.settle();
  const [arrived] = await twin.b.rows(`select count(*)::int as n, count(distinct n)::int as t from item`);
  expect(arrived).toEqual({ n: 100_000, t: 10_000 });
  expect(await twin.differences()).toEqual([]);
  expectLittleMemory();
});

test('one million rows in one transaction arrive', async () => {
  await twin.a.query(
    `insert into item select g, g % 1000, 'row number ' || g from generate_series(1000001, 2000000) g`,
  );
  await twin.settle();
  expect(await twin.b.rows('select count(*)::int as n from item')).toEqual([{ n: 1_100_000 }]);
  expect(await twin.differences()).toEqual([]);
  expectLittleMemory();
});

test('a large transaction: odd texts, a rolled back subtransaction, and a row that the other side has made meanwhile', async () => {
  const client = await twin.a.connect();
  const odd = String.raw`E'tab\t line\n return\r backslash\\ \\N \\. ' || g`;
  await client.query(/* sql */ `begin;
    insert into item select g, g, case when g % 7 <> 0 then ${odd} end from generate_series(3000001, 3060000) g;
    savepoint here;
    insert into item select g, g, repeat('gone', 40) from generate_series(3060001, 3120000) g;
    rollback to here;
    insert into item select g, g, repeat('stays', 40) from generate_series(3100001, 3160000) g`);
  await twin.b.query(`insert into item values (3150000, 0, 'made here')`);
  await client.query(`update item set n = -1 where id between 3059001 and 3101000; commit`);
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
  const [counts] = await twin.b.rows(
    `select count(*)::int as n, count(*) filter (where t like 'tab%')::int as odd, count(*) filter (where n = -1)::int as updated
       from item where id > 3000000`,
  );
  expect(counts).toEqual({ n: 120_000, odd: 51_429, updated: 2_000 });
});
