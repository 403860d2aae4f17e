import { afterAll, beforeAll, expect, test } from 'vitest';
import { openPlatform, openTwin, type TestPlatform } from '../support/twin.ts';

let on: TestPlatform;
beforeAll(async () => {
  on = await openPlatform();
});
afterAll(async () => {
  await on?.[Symbol.asyncDispose]();
});

const item = 'create table item (id int primary key, n int not null default 0, t text)';

test('rows that were there are copied, and changes on either side arrive on the other', async () => {
  await using twin = await openTwin(on, {
    schema: `${item}; insert into item select g, 0, 'row ' || g from generate_series(1, 1000) g`,
  });
  await twin.a.query('update item set n = 1 where id <= 100; delete from item where id = 500');
  await twin.b.query(`insert into item values (2001, 5, 'from b'); update item set t = null where id = 900`);
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
  expect(await twin.a.rows('select count(*)::int as n, sum(n)::int as s from item')).toEqual([
    { n: 1000, s: 105 },
  ]);
  expect(await twin.conflicts()).toEqual([]);
});

test('a row changed twice arrives once, as it last was', async () => {
  await using twin = await openTwin(on, { schema: item });
  await twin.a.query('insert into item values (1, 0)');
  await twin.a.query('update item set n = 7');
  await twin.settle();
  expect(await twin.b.rows('select id, n from item')).toEqual([{ id: 1, n: 7 }]);
  expect(await twin.differences()).toEqual([]);
});

test('an account that may only replicate and write works as well, in both directions', async () => {
  await using twin = await openTwin(on, { schema: item, account: 'plain' });
  await twin.a.query(`insert into item select g, g, 'a' from generate_series(1, 50) g`);
  await twin.b.query(`insert into item select g, g, 'b' from generate_series(101, 150) g`);
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
  expect(await twin.a.rows('select count(*)::int as n from item')).toEqual([{ n: 100 }]);
});
