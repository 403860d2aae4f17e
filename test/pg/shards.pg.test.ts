import type { SQSEvent } from 'aws-lambda';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openPlatform, openTwin, type TestPlatform } from '../support/twin.ts';
import { expectEqual, startWrites, writesSchema } from '../support/writes.ts';

let on: TestPlatform;
beforeAll(async () => {
  on = await openPlatform();
});
afterAll(async () => {
  await on?.[Symbol.asyncDispose]();
});

test.each(['superuser', 'plain'] as const)(
  'with four shards: every change arrives once, in both directions, without a conflict: %s',
  async (account) => {
    await using twin = await openTwin(on, { schema: writesSchema, account, shards: 4 });
    await using writes = startWrites(twin);
    await writes.more(150);
    await writes.stop();
    await expectEqual(twin, writes);
    const [used] = await twin.b.superuserRows(
      `select count(*)::int as shards from pgtwin.apply_progress where task = '${twin.pair}_f' and changes > 20`,
    );
    expect(used).toEqual({ shards: 4 });
  },
);

test('what concerns several shards is applied between what came before and what comes after', async () => {
  await using twin = await openTwin(on, {
    schema: `create table item (id int primary key, n int not null default 0, t text);
             create table log (id int primary key, t text);
             insert into item select g, 0, 't' from generate_series(1, 200) g;`,
    shards: 4,
  });
  for (let round = 0; round < 2; round++) {
    const statements = [
      'update item set n = n + 1',
      `begin;
       update item set t = 'moved' where id % 2 = 0;
       update item set id = id + 1000 where id between 1 and 20;
       update item set n = n + 1 where id > 1000;
       insert into log values (${1000 + round}, 'a');
       commit`,
      'update item set id = id - 1000 where id > 1000',
      'truncate log',
      `insert into log select g, 'after ${round}' from generate_series(1, 50) g`,
      'update item set n = n + 1',
    ];
    for (const each of statements) await twin.a.query(each);
    await twin.settle();
    // What the other side has written has arrived before it is changed here: no conflict.
    await twin.b.query(`update item set t = 'b ${round}' where id between 150 and 160`);
    await twin.b.query(`update item set id = -id where id between 170 and 180`);
    await twin.settle();
    await twin.a.query(`update item set id = -id where id < 0`);
    await twin.settle();
    expect(await twin.differences()).toEqual([]);
  }
  expect(await twin.conflicts()).toEqual([]);
  expect(await twin.b.rows('select sum(n)::int as n, count(*)::int as rows from item')).toEqual([
    { n: 2 * (200 + 20 + 200), rows: 200 },
  ]);
  // One that is large goes in parts, as a whole.
  await twin.a.query(`update item set t = repeat('x', 20000) || id`);
  await twin.a.query(
    `begin; update item set t = repeat('y', 20000) || id where id > 100; truncate log; commit`,
  );
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
});

test('what is lost while a transaction of all shards waits for it is sent again', async () => {
  await using twin = await openTwin(on, {
    schema: `create table item (id int primary key, n int not null default 0);
             create table log (id int primary key);`,
    shards: 4,
  });
  await twin.settle();
  const { apply } = on.platform;
  const { invoke } = apply;
  const lost: string[] = [];
  apply.invoke = ((event: SQSEvent) => {
    const [first] = event.Records;
    const group = first?.attributes.MessageGroupId ?? '';
    const isOurs = group.startsWith(`${twin.pair}_f.`) && !group.endsWith('.0');
    const { changes } = JSON.parse(first!.body.slice(0, first!.body.indexOf('\n'))) as { changes: number };
    if (lost.length > 0 || !isOurs || changes < 2) return invoke(event);
    // Taken off the queue, and never applied.
    lost.push(group);
    return Promise.resolve({ batchItemFailures: [] });
  }) as typeof invoke;
  try {
    await twin.a.query('insert into item select g from generate_series(1, 200) g');
    await twin.a.query('truncate log');
    await twin.a.query('update item set n = 1');
    await twin.settle();
  } finally {
    apply.invoke = invoke;
  }
  expect(lost).toHaveLength(1);
  expect(await twin.differences()).toEqual([]);
  expect(await twin.conflicts()).toEqual([]);
});
