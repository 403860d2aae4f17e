import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openPlatform, openTwin, type TestPlatform, type Twin } from '../support/twin.ts';
import { until } from '../support/wait.ts';

let on: TestPlatform;
beforeAll(async () => {
  on = await openPlatform();
});
afterAll(async () => {
  await on?.[Symbol.asyncDispose]();
});

const schema = `create table item (id int primary key, n int not null default 0, u text unique, t text);
  insert into item select g, 0, 'u' || g, 'row' from generate_series(1, 20) g`;

/** Writes on both sides that do not know of each other: the stream of each waits for a lock that we hold. */
async function crossed(twin: Twin, a: string, b: string): Promise<void> {
  const hold = await Promise.all([twin.a.connect(), twin.b.connect()]);
  for (const client of hold) await client.query('begin; select from pgtwin.apply_progress for update');
  await twin.a.query(a);
  await twin.b.query(b);
  for (const client of hold) await client.query('commit');
  await twin.settle();
}

describe.each(['overwrite', 'ignore', 'last-write-wins', 'source-priority'])(
  'policy %s',
  (conflictPolicy) => {
    test('both databases end identical, whatever met', async () => {
      await using twin = await openTwin(on, {
        schema,
        forward: { conflictPolicy },
        reverse: { conflictPolicy },
      });
      await crossed(
        twin,
        `update item set n = 1, t = 'a' where id = 1`,
        `update item set n = 2 where id = 1`,
      );
      await crossed(
        twin,
        `insert into item values (100, 1, 'a', 'a')`,
        `insert into item values (100, 2, 'b', 'b')`,
      );
      await crossed(twin, 'delete from item where id = 2', 'update item set n = 5 where id = 2');
      await crossed(twin, 'update item set n = 5 where id = 3', 'delete from item where id = 3');
      await crossed(
        twin,
        `insert into item values (101, 1, 'same')`,
        `insert into item values (102, 2, 'same')`,
      );
      await crossed(
        twin,
        `update item set u = 'taken' where id = 4`,
        `update item set u = 'taken' where id = 5`,
      );
      await crossed(twin, 'update item set id = 200 where id = 6', 'update item set n = 9 where id = 6');
      await crossed(twin, 'update item set id = 201 where id = 7', 'update item set id = 202 where id = 7');
      await crossed(twin, 'delete from item where id = 8', 'delete from item where id = 8');
      await crossed(
        twin,
        'truncate item',
        `update item set n = 77 where id = 9; insert into item values (300, 1, 'late')`,
      );
      expect(await twin.differences()).toEqual([]);
      const kinds = new Set((await twin.conflicts()).map((c) => c['kind']));
      for (const kind of ['update_origin_differs', 'insert_exists', 'delete_missing'])
        expect(kinds).toContain(kind);
    });
  },
);

test('thousands of rows in conflict at once, whatever their tables: identical, and each is in the log', async () => {
  const tables = ['plain', 'printed', 'fixed', 'named'];
  await using twin = await openTwin(on, {
    schema: `
      create table plain (id int primary key, n int, t text);
      create table printed (id numeric primary key, n int, t text); -- equal keys may print differently
      create table fixed (id int generated always as identity primary key, n int, t text);
      create table named (id int primary key, n int, t text unique);
      ${tables.map((name) => `insert into ${name} overriding system value select g, 0, 'row ' || g from generate_series(1, 900) g`).join(';')}`,
    forward: { conflictPolicy: 'overwrite' },
  });
  const writes = (side: 'a' | 'b', mine: string, from: number): string =>
    tables
      .map(
        (name) => `
          update ${name} set n = ${from} where ${mine};
          commit;
          update ${name} set n = n + 1, t = 'of ${side} ' || id where ${mine};
          commit;
          delete from ${name} where id % 10 = ${from};
          insert into ${name} (id, n, t) overriding system value select g, ${from}, '${side} ' || g from generate_series(1001, 1300) g;
          update ${name} set n = n + 1 where id > 1200`,
      )
      .join('; commit;');
  await crossed(twin, writes('a', 'id <= 600', 1), writes('b', 'id > 300 and id <= 900', 2));
  expect(await twin.differences()).toEqual([]);
  for (const name of tables) {
    // What came from side a won, but where a deletion was met by an update.
    expect(
      await twin.b.rows(`select count(*)::int as n from ${name} where id > 1000 and t like 'a %'`),
    ).toEqual([{ n: 300 }]);
    // However the stream was cut into batches: each row that both sides wrote.
    const logged = await twin.b.rows(`
      select count(distinct key) filter (where (key ->> 'id')::numeric between 301 and 600)::int as written,
             count(distinct key) filter (where kind = 'insert_exists')::int as inserted
        from pgtwin.conflict where table_name = '${name}'`);
    expect(logged, name).toEqual([{ written: 300, inserted: 300 }]);
  }
});

test('thousands of new rows at once: where both sides have inserted some they are decided one by one', async () => {
  await using twin = await openTwin(on, {
    schema: 'create table item (id int primary key, n int, t text unique)',
    forward: { conflictPolicy: 'overwrite' },
  });
  const insert = (side: string, from: number, to: number) =>
    `insert into item select g, g, case when g % 100 = 0 then 'same ' || g else '${side} ' || g end
       from generate_series(${from}, ${to}) g`;
  await crossed(twin, insert('a', 1, 4000), insert('b', 3001, 7000));
  expect(await twin.differences()).toEqual([]);
  const winners = await twin.b.rows(
    `select left(t, 1) as side, count(*)::int as n from item group by 1 order by 1`,
  );
  expect(winners).toEqual([
    { side: 'a', n: 3960 },
    { side: 'b', n: 2970 },
    { side: 's', n: 70 },
  ]);
  const kinds = (await twin.conflicts()).map((c) => c['kind']);
  expect(kinds).toEqual(Array.from({ length: 1000 }, () => 'insert_exists'));
  // A unique value that another row has here.
  await crossed(
    twin,
    `insert into item select g, g, 'value ' || g from generate_series(10001, 12000) g`,
    `insert into item values (20000, 0, 'value 11000')`,
  );
  for (let n = 3; n < 14; n++) {
    await twin.a.query(insert('a', n * 10_000, n * 10_000 + 1200));
    await twin.settle();
  }
  expect(await twin.differences()).toEqual([]);
  expect(await twin.conflicts()).toHaveLength(1001);
});

test('updates that follow on each other from both sides are never a conflict', async () => {
  await using twin = await openTwin(on, { schema, forward: { conflictPolicy: 'ignore' } });
  for (let n = 1; n <= 30; n++) {
    const [from, to] = n % 2 === 1 ? [twin.a, twin.b] : [twin.b, twin.a];
    await from.query(`update item set n = ${n} where id = 1`);
    await until(
      `update ${n} has arrived`,
      async () => (await to.rows(`select from item where id = 1 and n = ${n}`)).length > 0,
    );
  }
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
  expect(await twin.conflicts()).toEqual([]);
});

test('random writes on few rows of both sides at once: identical when it is quiet', async () => {
  await using twin = await openTwin(on, { schema, forward: { conflictPolicy: 'last-write-wins' } });
  const writer = async (side: 'a' | 'b', seed: number): Promise<void> => {
    const client = await twin[side].connect();
    let state = seed;
    const below = (n: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
      return (state >> 8) % n;
    };
    for (let i = 0; i < 150; i++) {
      const id = 1 + below(12);
      const sql = [
        `update item set n = n + 1 where id = ${id}`,
        `update item set t = '${side}${i}' where id = ${id}`,
        `delete from item where id = ${id}`,
        `insert into item values (${id}, ${i}, '${side}${i}') on conflict do nothing`,
        `update item set u = 'v${below(6)}' where id = ${id}`,
        `update item set id = ${20 + below(12)} where id = ${id}`,
      ][below(6)]!;
      await client.query(sql).catch((error: { code?: string }) => {
        if (!['23505', '40P01'].includes(error.code ?? '')) throw error;
      });
    }
  };
  await Promise.all([writer('a', 1), writer('a', 2), writer('b', 3), writer('b', 4)]);
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
});

test('a large transaction of new rows meets one that the other side has: identical, each row once', async () => {
  await using twin = await openTwin(on, { schema, forward: { conflictPolicy: 'last-write-wins' } });
  const client = await twin.a.connect();
  await client.query('begin');
  // 25 MB: sent in parts before it commits, and written by COPY until that row.
  await client.query(
    /* sql */ `insert into item (id, n, t) select g, g, repeat('text', 25) from generate_series(1001, 200000) g`,
  );
  await client.query('savepoint s');
  await client.query(
    /* sql */ `insert into item (id, n, t) select g, g, 'gone' from generate_series(200001, 230000) g`,
  );
  await client.query('rollback to s');
  await client.query(
    /* sql */ `insert into item (id, n, t) select g, g, 'kept' from generate_series(200001, 205000) g`,
  );
  await twin.b.query(/* sql */ `insert into item (id, n, t) values (180000, 7, 'b')`);
  await client.query('commit');
  await client.end();
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
  const sql = /* sql */ `select count(*)::int as count, count(*) filter (where t = 'kept')::int as kept from item where id > 1000`;
  expect((await twin.b.query(sql)).rows).toEqual([{ count: 204_000, kept: 5_000 }]);
});
