import { expect, test } from 'vitest';
import { openDatabase } from './database.ts';
import { countRows, differences } from './tables.ts';

const schema = /* sql */ `
  create schema "Odd ""Name";
  create table "Odd ""Name"."Select" ("Key" int, part text, "from" jsonb, primary key (part, "Key"));
  create table keyless (v numeric, t text);
  create table wide (id int primary key, d double precision, ts timestamptz, b bytea, c char(5), n numeric);
  create table parted (id int primary key, v text) partition by range (id);
  create table parted_1 partition of parted for values from (0) to (1000);
  create schema pgtwin; create table pgtwin.progress (n int);
  insert into "Odd ""Name"."Select" select i, 'p' || i % 3, jsonb_build_object('i', i) from generate_series(1, 5000) i;
  insert into keyless values (1.0, null), (1.0, null), (2, '');
  insert into wide select i, i / 3.0, 'infinity', '\\x00ff', 'x', 'NaN' from generate_series(1, 100) i;
  insert into parted select i, 'v' from generate_series(1, 500) i;`;

test('equal databases have no differences, whatever pgtwin keeps for itself', async () => {
  await using a = await openDatabase('a', { schema });
  await using b = await openDatabase('b', { schema });
  await a.query('insert into pgtwin.progress values (1)');
  expect(await differences(a, b)).toEqual([]);
  expect(await countRows(a)).toBe(5000 + 3 + 100 + 500);
});

test('each kind of difference is found, with key and both rows', async () => {
  await using a = await openDatabase('a', { schema });
  await using b = await openDatabase('b', { schema });
  await a.query(`update "Odd ""Name"."Select" set "from" = null where "Key" = 4711`);
  await b.query('delete from wide where id = 7; update parted set v = $$$$ where id = 3');
  await a.query('insert into keyless values (1.0, null)');
  expect(await differences(a, b)).toEqual([
    {
      table: '"Odd ""Name"."Select"',
      key: ['4711', 'p1'],
      a: { Key: '4711', part: 'p1', from: null },
      b: { Key: '4711', part: 'p1', from: '{"i": 4711}' },
    },
    { table: 'public.keyless', key: [null, '1.0'], a: { t: null, v: '1.0' }, b: undefined },
    { table: 'public.parted', key: ['3'], a: { id: '3', v: 'v' }, b: { id: '3', v: '' } },
    expect.objectContaining({ table: 'public.wide', key: ['7'], b: undefined }),
  ]);
  expect(await differences(a, b, ['public.parted', 'public.wide'])).toHaveLength(2);
});

test('numbers that are equal but print differently are a difference', async () => {
  await using a = await openDatabase('a', { schema: 'create table t (id int primary key, n numeric)' });
  await using b = await openDatabase('b', { schema: 'create table t (id int primary key, n numeric)' });
  await a.query('insert into t values (1, 1.0)');
  await b.query('insert into t values (1, 1.00)');
  expect(await differences(a, b)).toEqual([
    { table: 'public.t', key: ['1'], a: { id: '1', n: '1.0' }, b: { id: '1', n: '1.00' } },
  ]);
});

test('a table that is missing or has other columns is a difference; so is one that was asked for and is nowhere', async () => {
  await using a = await openDatabase('a', {
    schema: 'create table t (id int primary key); create table u (x int)',
  });
  await using b = await openDatabase('b', { schema: 'create table t (id int primary key, more text)' });
  expect(await differences(a, b)).toEqual([
    { table: 'public.t', key: [], a: { columns: 'id', key: 'id' }, b: { columns: 'id, more', key: 'id' } },
    { table: 'public.u', key: [], a: { columns: 'x', key: 'x' }, b: undefined },
  ]);
  expect(await differences(a, b, ['public.typo'])).toHaveLength(1);
});

test('no more than the limit is reported', async () => {
  await using a = await openDatabase('a', { schema });
  await using b = await openDatabase('b', { schema });
  await a.query('delete from wide');
  expect(await differences(a, b, undefined, 5)).toHaveLength(5);
});
