import { afterAll, beforeAll, expect, test } from 'vitest';
import { cross, crossed } from '../support/crossed.ts';
import { openPlatform, openTwin, type TestPlatform } from '../support/twin.ts';

let on: TestPlatform;
beforeAll(async () => {
  on = await openPlatform();
});
afterAll(async () => {
  await on?.[Symbol.asyncDispose]();
});

const item = (name: string) => `
  create table ${name} (id int primary key, n int not null default 0, amount numeric not null default 0, t text, u text);
  alter table ${name} replica identity full;
  insert into ${name} select g, 100, 100, 'row', 'row' from generate_series(1, 20) g;`;

test('merge-columns: each side keeps the columns that it changed; one that both changed goes to the fallback', async () => {
  const forward = { conflictPolicy: 'merge-columns', fallbackPolicy: 'source-priority', preferredSide: 'b' };
  await using twin = await openTwin(on, { schema: item('item'), forward });
  await crossed(
    twin,
    `update item set t = 'a' where id = 1; update item set t = 'a', u = 'a' where id = 2;
     update item set id = 50, t = 'a' where id = 3; delete from item where id = 4`,
    `update item set u = 'b' where id = 1; update item set u = 'b' where id = 2;
     update item set u = 'b' where id = 3; update item set u = 'b' where id = 4`,
  );
  expect(await twin.differences()).toEqual([]);
  expect(await twin.a.rows('select id, t, u from item where id in (1, 2, 3, 4, 50) order by id')).toEqual([
    { id: 1, t: 'a', u: 'b' },
    { id: 2, t: 'a', u: 'b' },
    { id: 4, t: 'row', u: 'b' },
    { id: 50, t: 'a', u: 'b' },
  ]);
  const results = (await twin.conflicts()).map((line) => line['result']);
  expect(results).toContain('merged');
});

test('delta: the increments of both sides add up exactly, whoever wins the rest of the row', async () => {
  const deltaColumns = [
    { schema: 'public', table: 'item', columns: ['n', 'amount'] },
    { schema: 'public', table: 'kept', columns: ['n'] },
  ];
  const forward = {
    conflictPolicy: 'delta',
    deltaColumns,
    tablePolicies: [{ schema: 'public', table: 'kept', conflictPolicy: 'ignore' }],
  };
  await using twin = await openTwin(on, { schema: item('item') + item('kept'), forward });
  const bump = async (side: 'a' | 'b', seed: number): Promise<void> => {
    const client = await twin[side].connect();
    let state = seed;
    const below = (n: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
      return (state >> 8) % n;
    };
    for (let i = 0; i < 100; i++) {
      const id = 1 + below(4);
      await client.query(
        `update item set n = n + 3, amount = amount - 0.01, t = '${side}${i}' where id = ${id}`,
      );
      await client.query(`update kept set n = n - 1, t = '${side}' where id = ${id}`);
    }
  };
  await Promise.all([bump('a', 1), bump('a', 2), bump('b', 3), bump('b', 4)]);
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
  for (const side of [twin.a, twin.b])
    expect(
      await side.rows(
        'select (select sum(n) from item)::int as up, (select sum(amount) from item)::text as down, (select sum(n) from kept)::int as kept',
      ),
    ).toEqual([{ up: 2000 + 4 * 100 * 3, down: '1996.00', kept: 2000 - 4 * 100 }]);
  expect((await twin.conflicts()).length).toBeGreaterThan(0);
});

test('resolver: a function of the user decides, row by row; what it can not decide stops the task', async () => {
  const source = `
    // the larger number wins; texts are joined
    export default function ({ kind, source, destination }) {
      if (source.row === null || destination.row === null) return source.row ? 'source' : 'destination';
      if (destination.row.t === 'stop') throw new Error('not for a machine');
      if (kind === 'insert_exists') return 'destination';
      return {
        n: Math.max(Number(source.row.n), Number(destination.row.n)),
        t: [source.row.t, destination.row.t].sort().join('+'),
      };
    }`;
  const forward = { conflictPolicy: 'resolver', resolver: { source } };
  await using twin = await openTwin(on, { schema: item('item'), forward });
  await crossed(
    twin,
    `update item set n = 7, t = 'a' where id = 1; insert into item values (30, 1, 1, 'a', 'a'); delete from item where id = 2`,
    `update item set n = 5, t = 'b' where id = 1; insert into item values (30, 2, 2, 'b', 'b'); update item set n = 9 where id = 2`,
  );
  expect(await twin.differences()).toEqual([]);
  expect(await twin.a.rows('select id, n, t from item where id in (1, 2, 30) order by id')).toEqual([
    { id: 1, n: 7, t: 'a+b' },
    { id: 2, n: 9, t: 'row' },
    { id: 30, n: 2, t: 'b' },
  ]);
  await cross(twin, `update item set t = 'a' where id = 5`, `update item set t = 'stop' where id = 5`);
  await twin.reach('forward', 'Failed');
});

test('catchUpPolicy overwrite: what was written before the task was resumed wins, as with the reference', async () => {
  await using twin = await openTwin(on, {
    schema: item('item'),
    forward: { conflictPolicy: 'ignore', catchUpPolicy: 'overwrite' },
  });
  await twin.act('forward', 'pause');
  await twin.reach('forward', 'Paused');
  await twin.a.query(`update item set t = 'a' where id = 1`);
  await twin.b.query(`update item set t = 'b' where id = 1`);
  await twin.act('forward', 'resume');
  await twin.reach('forward', 'Running');
  await twin.settle();
  await crossed(twin, `update item set t = 'a' where id = 2`, `update item set t = 'b' where id = 2`);
  expect(await twin.differences()).toEqual([]);
  expect(await twin.b.rows('select id, t from item where id <= 2 order by id')).toEqual([
    { id: 1, t: 'a' },
    { id: 2, t: 'b' },
  ]);
});

test('columns in another order on both sides: outcomes name their columns', async () => {
  await using twin = await openTwin(on, {
    schema:
      'create table item (id int primary key, t text, n text); insert into item select g, 0, 0 from generate_series(1, 5) g',
    both: true,
    forward: { conflictPolicy: 'overwrite' },
  });
  await twin.settle();
  await twin.b.query(
    'alter table item drop column t; alter table item add column t text; update item set t = n',
  );
  await twin.settle();
  await crossed(
    twin,
    `update item set t = 'a', n = 1 where id = 1`,
    `update item set t = 'b', n = 2 where id = 1`,
  );
  await crossed(twin, `update item set t = 'a', n = 1 where id = 2`, 'delete from item where id = 2');
  for (const side of [twin.a, twin.b])
    expect(await side.rows('select id, t, n from item where id <= 2 order by id')).toEqual([
      { id: 1, t: 'a', n: '1' },
      { id: 2, t: 'a', n: '1' },
    ]);
});
