import { expect, test } from 'vitest';
import { openDatabase } from '../../test/support/database.ts';
import { advanceSequences, listTables, readReplicaKeys, sequencePositions, sequencesOf } from './catalog.ts';

const tables = /* sql */ `
create schema "Sch";
create table plain (id int primary key, v text);
create table nothing_unique (v text);
create table "Sch"."Full" (a int not null, b int not null, c int, unique (a, b) include (c), unique (c));
alter table "Sch"."Full" replica identity full;
create table only_bad (
  d int not null unique deferrable, p int not null, e int not null, n int unique nulls not distinct, x int not null
);
create unique index only_bad_partial on only_bad (p) where p > 0;
create unique index only_bad_expression on only_bad ((e + 1));
alter table only_bad replica identity full;
create table by_index (id int primary key, other bigint generated always as identity, s int generated always as (id) stored);
create unique index by_index_other on by_index (other);
alter table by_index replica identity using index by_index_other;
create table nobody (id int primary key);
alter table nobody replica identity nothing;
create unlogged table unlogged_one (id int primary key);
create table parts (id int, day int, primary key (day, id)) partition by range (day);
create table parts_1 partition of parts for values from (0) to (10);
create table parts_2 partition of parts for values from (10) to (20);
insert into parts select n, n % 20 from generate_series(1, 1000) n;
create table guarded (id int primary key);
alter table guarded enable row level security;
analyze;
insert into plain select n, repeat('x', 1000) from generate_series(1, 5000) n;
create schema pgtwin;
create table pgtwin.heartbeat (id int);
`;

test('all tables, with partitions told apart', async () => {
  await using database = await openDatabase('a', { schema: tables });
  await database.query('create temporary table passing (id int)');
  const listed = await listTables(database.client);
  expect(listed.map((each) => `${each.schema}.${each.name}`)).toEqual([
    'Sch.Full',
    ...['by_index', 'guarded', 'nobody', 'nothing_unique', 'only_bad', 'parts', 'parts_1', 'parts_2'].map(
      (name) => `public.${name}`,
    ),
    'public.plain',
    'public.unlogged_one',
  ]);
  expect(listed.find((each) => each.name === 'parts_1')?.partitionOf).toEqual({
    schema: 'public',
    name: 'parts',
  });
  expect(listed.find((each) => each.name === 'parts')?.kind).toBe('partitioned');
  expect(listed.find((each) => each.name === 'unlogged_one')?.persistence).toBe('unlogged');
});

test('how the rows of each table are named in the stream', async () => {
  await using database = await openDatabase('a', { schema: tables });
  const keys = await readReplicaKeys(database.client, [
    ...(await listTables(database.client)),
    { schema: 'a', name: 'b' },
  ]);
  const of = (name: string) => keys.find((each) => each.name === name)!;
  const short = keys.map((each) => [each.name, each.replicaIdentity, each.primaryKey, each.identityColumns]);
  expect(short).toEqual([
    ['Full', 'full', null, ['a', 'b']],
    ['by_index', 'index', ['id'], ['other']],
    ['guarded', 'default', ['id'], ['id']],
    ['nobody', 'nothing', ['id'], null],
    ['nothing_unique', 'default', null, null],
    ['only_bad', 'full', null, null],
    ['parts', 'default', ['day', 'id'], ['day', 'id']],
    ['parts_1', 'default', ['day', 'id'], ['day', 'id']],
    ['parts_2', 'default', ['day', 'id'], ['day', 'id']],
    ['plain', 'default', ['id'], ['id']],
    ['unlogged_one', 'default', ['id'], ['id']],
  ]);
  const flags = (key: Record<string, unknown>) => Object.keys(key).filter((each) => key[each] === true);
  expect(of('only_bad').uniqueKeys.map((key) => [key.name, key.columns, flags(key)])).toEqual(
    [
      ['only_bad_d_key', ['d'], ['valid', 'notNull', 'deferrable']],
      ['only_bad_expression', [null], ['valid', 'expression']],
      ['only_bad_n_key', ['n'], ['valid', 'nullsNotDistinct']],
      ['only_bad_partial', ['p'], ['valid', 'notNull', 'partial']],
    ].map(([name, columns, set]) => [name, columns, expect.arrayContaining(set as string[])]),
  );
  expect(of('by_index').columns.map((each) => [each.name, each.identity, each.generated])).toEqual([
    ['id', null, null],
    ['other', 'always', null],
    ['s', null, 'stored'],
  ]);
  expect(of('guarded')).toMatchObject({
    rowSecurity: true,
    forceRowSecurity: false,
    rowSecurityActive: false,
  });
  expect(of('unlogged_one').persistence).toBe('unlogged');
  expect(of('parts')).toMatchObject({ kind: 'partitioned', partition: false });
  expect(of('parts').estimatedRows).toBe(1000);
  expect(of('parts').sizeBytes).toBe(of('parts_1').sizeBytes + of('parts_2').sizeBytes);
  // Not analyzed since it grew: guessed from its size.
  expect(of('plain').estimatedRows).toBeGreaterThan(1000);
  expect(of('plain').sizeBytes).toBeGreaterThan(5_000_000);
});

test('sequences move past the source, never back', async () => {
  const schema = /* sql */ `
    create sequence "My ""Seq""" increment 10;
    create sequence down increment -1;
    create table t (id serial, i int generated always as identity, o int default nextval('"My ""Seq"""'), d int default nextval('down'));`;
  await using source = await openDatabase('a', { schema });
  await using destination = await openDatabase('b', { schema });
  await source.query(`insert into t select from generate_series(1, 3)`);
  await destination.query(`select setval('t_id_seq', 50)`);
  const names = await sequencesOf(source.client, [{ schema: 'public', name: 't' }]);
  expect(names.map((each) => each.name).toSorted()).toEqual(['My "Seq"', 'down', 't_i_seq', 't_id_seq']);
  const positions = await sequencePositions(source.client, names);
  for (const sql of advanceSequences(positions)) await destination.query(sql);
  const [next] = await destination.rows(
    `select nextval('t_id_seq')::int as id, nextval('t_i_seq')::int as i, nextval('"My ""Seq"""')::int as o, nextval('down')::int as d`,
  );
  expect(next).toEqual({ id: 51, i: 4, o: 31, d: -4 });
});

test('a sequence that was never used is left alone', async () => {
  await using database = await openDatabase('a', { schema: 'create sequence unused' });
  const positions = await sequencePositions(database.client, [{ schema: 'public', name: 'unused' }]);
  expect(positions).toEqual([{ schema: 'public', name: 'unused', last: null, increment: '1' }]);
  expect(advanceSequences(positions)).toEqual([]);
});
