import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { openClockProxy } from '../support/clock-proxy.ts';
import { crossed } from '../support/crossed.ts';
import { openPlatform, openTwin, type TestPlatform, type Twin } from '../support/twin.ts';
import { until } from '../support/wait.ts';

let on: TestPlatform;
beforeAll(async () => {
  on = await openPlatform();
});
afterAll(async () => {
  await on?.[Symbol.asyncDispose]();
});

const schema = `
  create table item (id int primary key, n int not null default 0, t text unique);
  insert into item select g, 0, 't' || g from generate_series(1, 20) g`;

/** Of every kind of conflict one; the answer is what was logged, unsure or not. */
async function conflicts(twin: Twin): Promise<string[]> {
  const before = (await twin.conflicts()).length;
  await crossed(
    twin,
    `update item set n = 1 where id = 1; update item set n = 1 where id = 2; delete from item where id = 3;
     insert into item values (100, 1); update item set t = 'x' where id = 4`,
    `update item set n = 2 where id = 1; delete from item where id = 2; update item set n = 2 where id = 3;
     insert into item values (100, 2); update item set t = 'x' where id = 5`,
  );
  const logged = (await twin.conflicts())
    .slice(before)
    .map((each) => String(each['suspected_kind'] ?? each['kind']))
    .sort();
  expect(await twin.differences()).toEqual([]);
  return logged;
}

/** Both sides write one row in turns, each after the other's change has arrived. */
async function inTurns(twin: Twin, wrong: (n: number) => void): Promise<void> {
  for (let n = 1; n <= 9; n++) {
    wrong(n);
    const [from, to] = n % 2 === 1 ? [twin.a, twin.b] : [twin.b, twin.a];
    await from.query(`update item set n = ${n} where id = 10`);
    await until(
      `change ${n}`,
      async () => (await to.rows(`select from item where id = 10 and n = ${n}`)).length > 0,
    );
  }
}

test('a clock that is minutes off, or steps, changes who wins, never what is a conflict, never that both agree', async () => {
  await using clock = await openClockProxy(inject('postgres').a);
  await using twin = await openTwin(on, {
    schema,
    both: true,
    through: { a: clock.through },
    forward: { conflictPolicy: 'last-write-wins' },
  });
  const reset = async (): Promise<void> => {
    await twin.b.query(`delete from item`);
    await twin.settle();
    await twin.a.query(`insert into item select g, 0, 't' || g from generate_series(1, 20) g`);
    await twin.settle();
  };
  const found: string[][] = [];
  for (const [offsetMs, winner] of [
    [0, undefined],
    [-600_000, 2],
    [600_000, 1],
    // It steps back by twenty minutes; hybrid time does not, so either may win now.
    [-600_000, undefined],
  ] as const) {
    clock.offsetMs = offsetMs;
    await reset();
    found.push(await conflicts(twin));
    if (winner !== undefined)
      expect(await twin.a.rows('select id, n from item where id in (1, 100) order by id')).toEqual([
        { id: 1, n: winner },
        { id: 100, n: winner },
      ]);
  }
  expect(new Set(found[0])).toEqual(
    new Set([
      'insert_exists',
      'update_origin_differs',
      'update_missing',
      'delete_origin_differs',
      'update_exists',
    ]),
  );
  for (const kinds of found) expect(kinds).toEqual(found[0]);

  const before = (await twin.conflicts()).length;
  await inTurns(twin, (n) => {
    clock.offsetMs = n % 3 === 0 ? -3_600_000 : 3_600_000;
  });
  await twin.settle();
  expect(await twin.conflicts()).toHaveLength(before);
  expect(await twin.differences()).toEqual([]);

  // Whoever writes at the same time as the other side is judged by the clocks as they are: still equal.
  for (let n = 0; n < 2; n++) {
    clock.offsetMs = n % 2 === 0 ? -3_600_000 : 3_600_000;
    await crossed(
      twin,
      `update item set n = 100 + ${n} where id <= 10`,
      `update item set n = 200 + ${n} where id <= 10`,
    );
  }
  expect(await twin.differences()).toEqual([]);
});
