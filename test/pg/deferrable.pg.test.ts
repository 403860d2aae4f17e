import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { crossed } from '../support/crossed.ts';
import { openPlatform, openTwin, type TestPlatform } from '../support/twin.ts';

let on: TestPlatform;
beforeAll(async () => {
  on = await openPlatform();
});
afterAll(async () => {
  await on?.[Symbol.asyncDispose]();
});

const plain = /* sql */ `
  create table rank (id int primary key, place int, n int default 0, unique (place) deferrable initially deferred);
  insert into rank select g, g from generate_series(1, 8) g;`;
/** With something that must not fire at the destination. */
const withTriggers = /* sql */ `${plain}
  create function forbid() returns trigger language plpgsql as $$ begin raise 'fired'; end $$;
  create trigger forbid after update on rank for each row when (new.n = 99) execute function forbid();
  create table part (id int primary key, rank int references rank);`;

describe.each([
  ['alone', plain],
  ['with triggers and foreign keys', withTriggers],
])('a deferrable unique key %s', (_, schema) => {
  test('is kept on both sides, though the role of replicas would not check it', async () => {
    await using twin = await openTwin(on, {
      schema,
      forward: { conflictPolicy: 'overwrite' },
      reverse: { conflictPolicy: 'overwrite' },
    });
    await crossed(twin, 'update rank set place = 20 where id = 1', 'update rank set place = 20 where id = 2');
    await crossed(twin, 'insert into rank values (30, 30)', 'insert into rank values (31, 30)');
    await crossed(
      twin,
      'update rank set place = 40 where id = 3; insert into rank values (41, 41)',
      'update rank set place = 41 where id = 4; insert into rank values (42, 40)',
    );
    expect(await twin.differences()).toEqual([]);
    const twice = /* sql */ `select place from rank group by place having count(*) > 1`;
    for (const side of [twin.a, twin.b]) expect(await side.rows(twice)).toEqual([]);
    expect((await twin.conflicts()).map((c) => c['kind'])).toContain('update_exists');
  });

  test('may be swapped: no conflict', async () => {
    await using twin = await openTwin(on, { schema });
    for (const side of [twin.a, twin.b]) {
      await side.query('update rank set place = 9 - place where id in (2, 7)');
      await side.query(
        'begin; update rank set place = 1 where id = 8; update rank set place = 8 where id = 1; commit',
      );
      await twin.settle();
    }
    expect(await twin.differences()).toEqual([]);
    expect(await twin.conflicts()).toEqual([]);
  });
});
