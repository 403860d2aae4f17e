import { expect, test } from 'vitest';
import { finishInitialization } from '../../functions/capture/finish.ts';
import { readCopyMessage } from '../../shared/copy/work.ts';
import { openLog } from '../../shared/log/log.ts';
import { originName, publicationName, slotName } from '../../shared/postgres/names.ts';
import { lsnOf } from '../../shared/stream/position.ts';
import { openCopyTwin } from '../support/copy-twin.ts';
import { differences } from '../support/tables.ts';

const all = { objects: { include: [{ schema: '*' }] } };

test('schema and rows are copied; keys, indexes, foreign keys and sequences are there at the end', async () => {
  await using twin = await openCopyTwin({
    a: {
      schema: /* sql */ `
        create type mood as enum ('sad', 'ok');
        create schema "Größe";
        create table "Größe"."Tab ""le" ("order" int primary key, "Ünï" text, "where" mood[]);
        insert into "Größe"."Tab ""le" select n, 'ü' || n, array['sad']::mood[] from generate_series(1, 5000) n;
        create table item (id bigint generated always as identity primary key, name text not null, m mood,
          doubled bigint generated always as (id * 2) stored, parent bigint references item, unique (name));
        insert into item (name, m, parent) select 'n' || n, 'ok', nullif(n - 1, 0) from generate_series(1, 3000) n;
        create index item_m on item (m);
        create table nothing (id int primary key);
        create table toast (id serial primary key, body text);
        alter table toast alter column body set storage external;
        insert into toast (body) select repeat(md5(n::text), 3000) from generate_series(1, 60) n;`,
    },
  });
  const task = await twin.configure('forward', { ...all, chunkRows: 1000 }, { start: true });
  const { prepared, copyEnd, notes } = await twin.initialize('forward');
  expect(notes).toEqual([]);
  expect(prepared.list).toEqual([
    { schema: 'Größe', name: 'Tab "le', key: ['order'] },
    {
      schema: 'public',
      name: 'item',
      key: ['id'],
      references: [JSON.stringify([['parent'], 'public', 'item', ['id']])],
    },
    { schema: 'public', name: 'nothing', key: ['id'] },
    { schema: 'public', name: 'toast', key: ['id'] },
  ]);
  expect(prepared.slot).toBe(slotName(task));
  expect(lsnOf(prepared.consistentPoint!) <= lsnOf(copyEnd)).toBe(true);
  expect(await differences(twin.a, twin.b)).toEqual([]);
  expect(twin.work.sent.length).toBeGreaterThan(2);
  expect(twin.progress.at(-1)).toMatchObject({ tables: 4, tablesDone: 4, percent: 100, rowsDone: 8060 });

  const constraints = /* sql */ `select conrelid::regclass::text as t, conname, contype, convalidated
    from pg_constraint where connamespace::regnamespace::text not like 'pg\\_%' and contype in ('p', 'u', 'f')
      and conrelid::regclass::text not like 'pgtwin.%' order by 1, 2`;
  expect((await twin.b.rows(constraints)).map((c) => c['contype'])).toEqual(['p', 'p', 'p', 'p']);
  const source = await twin.target('a');
  const destination = await twin.target('b');
  const config = await twin.repository.getConfig(await twin.repository.getTask(task));

  const finish = {
    task,
    config,
    tables: prepared.list,
    source,
    destination,
    log: openLog({ write: () => {} }),
  };
  await finishInitialization(finish);
  await finishInitialization(finish);
  expect(await twin.b.rows(constraints)).toEqual(await twin.a.rows(constraints));
  expect(await twin.b.rows(`select indexname from pg_indexes where indexname = 'item_m'`)).toHaveLength(1);
  await twin.b.query(`insert into item (name) values ('later')`);
  expect(await twin.b.rows(`select id::int from item where name = 'later'`)).toEqual([{ id: 3001 }]);
  expect(await twin.b.rows(`select reltuples::int as n from pg_class where relname = 'item'`)).toEqual([
    { n: 3000 },
  ]);
});

test('publications and slots of both directions are there before the copy, and are kept', async () => {
  await using twin = await openCopyTwin({
    a: {
      schema:
        'create table item (id int primary key, n int); insert into item select n, n from generate_series(1, 100) n',
    },
  });
  const reverse = await twin.configure('reverse', all, { autoStart: true });
  const forward = await twin.configure('forward', all, { start: true });
  twin.work.deliver = async (body, run) => {
    expect(
      await twin.b.rows('select slot_name from pg_replication_slots where slot_name = $1', [
        slotName(reverse),
      ]),
    ).toHaveLength(1);
    await run(body);
  };
  await twin.initialize('forward');
  const published = `select tablename, rowfilter from pg_publication_tables where pubname = $1 order by 1`;
  expect(await twin.b.rows(published, [publicationName(reverse)])).toEqual([
    { tablename: 'apply_progress', rowfilter: `(task = '${forward}'::text)` },
    { tablename: 'copy_chunk', rowfilter: `(task = '${forward}'::text)` },
    { tablename: 'heartbeat', rowfilter: `(task = '${reverse}'::text)` },
    { tablename: 'item', rowfilter: null },
  ]);
  const slot =
    'select restart_lsn::text, confirmed_flush_lsn::text from pg_replication_slots where slot_name = $1';
  const before = await twin.b.rows(slot, [slotName(reverse)]);
  const sent = twin.work.sent.length;
  await twin.repository.move(reverse, 'start', { cause: 'test', actor: 'test' });
  const { prepared } = await twin.initialize('reverse');
  expect(prepared.generation).toBe(1);
  expect(twin.work.sent.length).toBe(sent);
  expect(await twin.b.rows(slot, [slotName(reverse)])).toEqual(before);
});

test('each shard of the pair has a progress row and an origin, for both tasks', async () => {
  await using twin = await openCopyTwin({
    a: { schema: 'create table item (id int primary key); insert into item values (1)' },
    shards: 3,
  });
  const reverse = await twin.configure('reverse', all, { autoStart: true });
  const forward = await twin.configure('forward', all, { start: true });
  await twin.initialize('forward');
  for (const [side, task] of [
    [twin.b, forward],
    [twin.a, reverse],
  ] as const) {
    const rows = `select shard, generation::int from pgtwin.apply_progress where task = $1 order by shard`;
    expect(await side.rows(rows, [task])).toEqual([0, 1, 2].map((shard) => ({ shard, generation: 1 })));
    const origins = `select roname from pg_replication_origin where roname like $1 order by roname`;
    expect(await side.rows(origins, [`pgtwin\\_${task}\\_%`])).toEqual(
      [0, 1, 2].map((shard) => ({ roname: originName(task, shard) })),
    );
  }
});

const columns = /* sql */ `id int primary key, b bool, c "char", n name, i8 int8, i2 int2, v int2vector, t text, o oid,
  j json, jb jsonb, x xml, f4 float4, f8 float8, m money, ma macaddr, ne inet, ci cidr, bp char(7), vc varchar(9), d date,
  ti time, ts timestamp, tz timestamptz, iv interval, ttz timetz, bi bit(3), vb varbit, nu numeric, u uuid, by bytea,
  sv tsvector, sq tsquery, r int4range, rr nummultirange, p point, bx box, pa path, l lsn_domain, e feeling, ia int[],
  ta text[], na numeric[], rc regclass`;
const values = /* sql */ `
  (1, true, 'a', 'Näme', -9223372036854775808, -32768, '1 2', E'q"\\\\''\\n\\t☃', 4000000000, '{"b":1, "a": [1 ]}',
   '{"b":1,"a":2.50}', '<a>ü</a>', 'NaN', '-Infinity', '-12.34', '08:00:2b:01:02:03', '::1/64', '10.0.0.0/8', 'ab ', 'v', 'infinity',
   '23:59:59.999999', '0044-03-15 12:00:00.000001 BC', '294276-12-31 23:59:59.999999+00', '1 year -3 days 04:05:06.7',
   '12:00:00+05:30', '101', '10', 'NaN', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '\\x00ff', 'a:1 b:2A', 'a & !b', '[1,5)',
   '{[1.5,2),(3,)}', '(1,2)', '(1,2),(0,0)', '((1,1),(2,2))', '1/2', 'so so', '[0:1]={1,NULL}', '{"a,b","NULL",NULL,""}',
   '{NaN,1.10,Infinity}', 'pg_class'),
  (2${', null'.repeat(43)}), (3, false, '', '', 0, 0, '', '', 0, '0', '0', '', 0, 0, 0, '00:00:00:00:00:00', '0.0.0.0', '::/0', '', '',
   '-infinity', '24:00', '-infinity', 'infinity', '-178000000 years', '00:00-15:59', '000', '', 1e-20, '00000000-0000-0000-0000-000000000000', '', '', '',
   'empty', '{}', '(0,0)', '(0,0),(0,0)', '[(0,0)]', '0/0', 'good', '{}', '{}', '{}', null)`;

const textOnly = /, (rc regclass|v int2vector|sq tsquery|x xml|bx box|pa path)/g;

test('values of every kind arrive as they are, as binary and as text', async () => {
  await using twin = await openCopyTwin({
    a: {
      schema: /* sql */ `create type feeling as enum ('good', 'so so'); create domain lsn_domain as pg_lsn;
        create type pair as (a int, b text);
        create table binary_one (${columns.replace(textOnly, '')});
        create table text_one (${columns}, pr pair default (1, 'x"y'), fs feeling[] default '{good,NULL,"so so"}');
        insert into text_one values ${values};
        insert into binary_one select ${columns
          .replaceAll(/\s+/g, ' ')
          .replace(textOnly, '')
          .split(', ')
          .map((c) => c.split(' ')[0])
          .join(', ')} from text_one;`,
    },
  });
  await twin.configure('forward', all, { start: true });
  await twin.initialize('forward');
  expect(await differences(twin.a, twin.b)).toEqual([]);
  const items = twin.work.sent.flatMap((body) => readCopyMessage(body).items);
  expect(items.map((each) => [each.table.name, each.format]).sort()).toEqual([
    ['binary_one', twin.a.server.major === twin.b.server.major ? 'binary' : 'text'],
    ['text_one', 'text'],
  ]);
});
