import { expect, test } from 'vitest';
import { finishInitialization } from '../../functions/capture/finish.ts';
import { publicationName, slotName } from '../../shared/postgres/names.ts';
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
    { schema: 'public', name: 'item', key: ['id'] },
    { schema: 'public', name: 'nothing', key: ['id'] },
    { schema: 'public', name: 'toast', key: ['id'] },
  ]);
  expect(prepared.slot).toBe(slotName(task));
  expect(prepared.consistentPoint! < copyEnd).toBe(true);
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
  const { openLog } = await import('../../shared/log/log.ts');
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
