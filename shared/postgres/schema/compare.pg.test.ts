import { expect, test } from 'vitest';
import { openDatabase } from '../../../test/support/database.ts';
import { compareSchemas } from './compare.ts';
import { readSchema } from './read.ts';

const texts = async (here: string, there: string, name = 't'): Promise<string[]> => {
  await using source = await openDatabase('a', { schema: here });
  await using destination = await openDatabase('b', { schema: there });
  const tables = [{ schema: 'public', name }];
  const [from, to] = [await readSchema(source.client, tables), await readSchema(destination.client, tables)];
  return compareSchemas(from, to).map((each) => `${each.severity}: ${each.text}`);
};

test('a table that is not there', async () => {
  expect(await texts('create table t (id int)', 'select 1')).toEqual([
    'error: public.t does not exist on the destination',
  ]);
});

test('columns, types, keys, defaults', async () => {
  expect(
    await texts(
      `create table t (
        id int primary key, "Gone" int, narrow varchar(9), wide bigint, grown int, made int generated always as (id) stored,
        was_made int generated always as (id) stored, given int generated always as identity, d int default 1,
        null_here int, not_null_here int not null, u int unique, c text collate "C", checked int check (checked > 0),
        more int constraint less check (more < 9)
      )`,
      `create table t (
        id int, narrow varchar(8), wide int, grown numeric, made int,
        was_made int generated always as (id + 1) stored, given int, d int default 2,
        null_here int not null, not_null_here int, u int, c text, checked int constraint other_name check (checked > 0),
        more int constraint less check (more < 8) constraint odd check (more % 2 = 1),
        extra int, "Filled" int not null default 3, must int not null, primary key (id, u), unique (grown)
      )`,
    ),
  ).toEqual([
    'error: public.t.Gone is missing on the destination',
    'error: public.t.narrow is character varying(8) on the destination, character varying(9) on the source',
    'error: public.t.wide is integer on the destination, bigint on the source',
    'note: public.t.grown is numeric on the destination, integer on the source',
    'error: public.t.made is not generated on the destination, generated stored as id on the source',
    'note: public.t.was_made is generated stored as (id + 1) on the destination, generated stored as id on the source',
    'note: public.t.given is no identity on the destination, identity always on the source',
    'note: public.t.given is NOT NULL on the source only',
    'note: public.t.d has default 2 on the destination, 1 on the source',
    'error: public.t.null_here is NOT NULL on the destination only',
    'note: public.t.not_null_here is NOT NULL on the source only',
    'error: public.t.u is NOT NULL on the destination only',
    'note: public.t.c has collation default on the destination, pg_catalog.C on the source',
    'note: public.t.extra is only on the destination',
    'note: public.t.Filled is only on the destination',
    'error: public.t.must is only on the destination, NOT NULL and without default',
    'error: public.t has primary key (id, u) on the destination, (id) on the source',
    'note: public.t has the unique key t_u_key, UNIQUE (u), on the source only',
    'error: public.t has the unique key t_grown_key, UNIQUE (grown), on the destination only',
    'note: public.t has the check less as CHECK ((more < 8)) on the destination, CHECK ((more < 9)) on the source',
    'error: public.t has the check odd, CHECK (((more % 2) = 1)), on the destination only',
  ]);
});

test('a unique index holds the same as a constraint, whatever its name', async () => {
  expect(
    await texts(
      'create table t (a int, b text, constraint x unique nulls not distinct (a, b) deferrable)',
      'create table t (a int, b text); create unique index y on t (a, b) nulls not distinct with (fillfactor = 50)',
    ),
  ).toEqual([]);
});

test('labels of an enum', async () => {
  expect(
    await texts(
      `create type e as enum ('a', 'b'); create table t (e e)`,
      `create type e as enum ('b', 'c'); create table t (e e)`,
    ),
  ).toEqual([
    'error: public.e lacks the labels a on the destination',
    'note: public.e has the labels c on the destination only',
  ]);
});
