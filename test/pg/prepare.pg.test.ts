import { expect, test } from 'vitest';
import { controlPublicationName, publicationName, slotName } from '../../shared/postgres/names.ts';
import { openCopyTwin } from '../support/copy-twin.ts';
import type { TestDatabase } from '../support/database.ts';
import { differences } from '../support/tables.ts';
import { until } from '../support/wait.ts';

const all = { objects: { include: [{ schema: '*' }] } };
const item = (n: number) =>
  `create table item (id int primary key, n int); insert into item select n, n from generate_series(1, ${n}) n;`;
const why = { cause: 'test', actor: 'test' };

/** The tables of all inserts that a slot has, by transaction. */
async function insertsOf(
  database: TestDatabase,
  slot: string,
  publication: string,
  more = '',
): Promise<Map<string, string[]>> {
  const rows = await database.rows<{ xid: string; data: Buffer }>(
    `select xid::text, data from pg_logical_slot_peek_binary_changes('${slot}', null, null,
       'proto_version', '1', 'publication_names', '${publication}'${more})`,
  );
  const names = new Map<number, string>();
  const inserts = new Map<string, string[]>();
  for (const { xid, data } of rows) {
    const tag = String.fromCharCode(data[0]!);
    if (tag === 'R') names.set(data.readUInt32BE(1), data.subarray(5).toString().split('\0')[1]!);
    if (tag === 'I') inserts.set(xid, [...(inserts.get(xid) ?? []), names.get(data.readUInt32BE(1))!]);
  }
  return inserts;
}

test('an account that is no superuser may do all of it, and what it may not is told', async () => {
  await using twin = await openCopyTwin({
    a: {
      account: 'plain',
      schema: `${item(3000)} create table child (id int primary key, item int references item);
      insert into child select n, n from generate_series(1, 2000) n`,
    },
    b: { account: 'plain' },
  });
  await twin.configure('reverse', all, { autoStart: true });
  await twin.configure('forward', { ...all, chunkRows: 1000 }, { start: true });
  const { notes } = await twin.initialize('forward');
  expect(notes).toEqual([expect.stringContaining('may not use replication origins')]);
  expect(await differences(twin.a, twin.b)).toEqual([]);
});

test('the copy is marked for the opposite stream: its row comes first, and rows with an origin are not sent', async () => {
  await using twin = await openCopyTwin({ a: { schema: item(2000) } });
  const reverse = await twin.configure('reverse', all, { autoStart: true });
  await twin.configure('forward', all, { start: true });
  await twin.initialize('forward');
  const changes = async (origin: string) => {
    const all = await insertsOf(twin.b, slotName(reverse), publicationName(reverse), origin);
    return [...all.values()].filter((tables) => tables.length > 0);
  };
  const copies = (await changes('')).filter((tables) => tables.length > 100);
  expect(copies).toHaveLength(1);
  expect(copies[0]![0]).toBe('copy_chunk');
  expect(new Set(copies[0]!.slice(1))).toEqual(new Set(['item']));
  expect(copies[0]).toHaveLength(2001);
  if (twin.b.server.major >= 16)
    expect(new Set((await changes(`, 'origin', 'none'`)).flat())).toEqual(new Set(['copy_chunk']));
});

test('rows of partitions arrive under their root, whatever the destination has', async () => {
  await using twin = await openCopyTwin({
    a: {
      schema: /* sql */ `
        create table event (id int, at date, note text, primary key (id, at)) partition by range (at);
        create table event_1 partition of event for values from ('2024-01-01') to ('2025-01-01');
        create table event_2 partition of event for values from ('2025-01-01') to ('2026-01-01') partition by list (id);
        create table event_2a partition of event_2 default;
        insert into event select n, date '2024-06-01' + n % 365, 'n' || n from generate_series(1, 5000) n;`,
    },
    b: { schema: 'create table event (id int, note text, at date, primary key (id, at))' },
  });
  const task = await twin.configure(
    'forward',
    { ...all, types: { schema: false }, chunkRows: 1000 },
    { start: true },
  );
  const { prepared } = await twin.initialize('forward');
  expect(prepared.list).toEqual([{ schema: 'public', name: 'event', key: ['id', 'at'] }]);
  const sum = `select count(*)::int as n, md5(string_agg(id || ' ' || at || ' ' || note, ',' order by id)) as h from event`;
  expect(await twin.b.rows(sum)).toEqual(await twin.a.rows(sum));
  await twin.a.query(`insert into event values (0, '2025-03-03', 'late')`);
  const sent = await insertsOf(twin.a, slotName(task), publicationName(task));
  expect([...sent.values()].flat()).toEqual(['event']);
});

test('partitioned tables are made and copied with their partitions', async () => {
  await using twin = await openCopyTwin({
    a: {
      schema: /* sql */ `
        create table event (id int, at date, note text, primary key (id, at)) partition by range (at);
        create table event_1 partition of event for values from ('2024-01-01') to ('2025-01-01');
        create table event_2 partition of event for values from ('2025-01-01') to ('2026-01-01');
        insert into event select n, date '2024-06-01' + n % 365, 'n' || n from generate_series(1, 5000) n;`,
    },
  });
  await twin.configure('forward', all, { start: true });
  await twin.initialize('forward');
  expect(await differences(twin.a, twin.b)).toEqual([]);
  const keys = `select conrelid::regclass::text as t from pg_constraint where contype = 'p' and conrelid::regclass::text like 'event%' order by 1`;
  expect((await twin.b.rows(keys)).map((row) => row['t'])).toEqual(['event', 'event_1', 'event_2']);
});

test('a restart makes the slot anew, sets the progress back and keeps the rows', async () => {
  await using twin = await openCopyTwin({ a: { schema: item(100) } });
  const task = await twin.configure('forward', all, { start: true });
  const first = await twin.initialize('forward');
  await twin.repository.move(task, 'initialized', why);
  await twin.b.query(
    `update pgtwin.apply_progress set position = '00000000FF000000.FFFFFFFF', epoch = 7, changes = 5 where task = '${task}'`,
  );
  await twin.a.query(`insert into item values (101, 1)`);
  await twin.repository.move(task, 'give-up', why);
  await twin.repository.move(task, 'restart', why);
  const second = await twin.initialize('forward');
  expect(second.prepared.generation).toBe(2);
  expect(second.prepared.consistentPoint).not.toBe(first.prepared.consistentPoint);
  expect(
    await twin.b.rows(
      'select generation::int, epoch::int, position, changes::int from pgtwin.apply_progress',
    ),
  ).toEqual([{ generation: 2, epoch: 0, position: '0000000000000000.00000000', changes: 0 }]);
  expect(await differences(twin.a, twin.b)).toEqual([]);
});

test('a slot that vanished in the middle of a run is not made anew silently', async () => {
  await using twin = await openCopyTwin({ a: { schema: item(10) } });
  const task = await twin.configure('forward', all, { start: true });
  await twin.initialize('forward');
  await twin.a.query(`select pg_drop_replication_slot('${slotName(task)}')`);
  await expect(twin.initialize('forward')).rejects.toMatchObject({ code: 'slot-lost' });
});

test('without incremental synchronization the source gets no slot and no publication', async () => {
  await using twin = await openCopyTwin({ a: { schema: item(10) } });
  await twin.configure('forward', { ...all, types: { incremental: false } }, { start: true });
  const { prepared } = await twin.initialize('forward');
  expect(prepared.slot).toBeNull();
  expect(await twin.a.leftovers()).toEqual(['schema pgtwin']);
  expect(await differences(twin.a, twin.b)).toEqual([]);
});

test('tables that were selected later are added to the publication; control rows are published as inserts only', async () => {
  await using twin = await openCopyTwin({ a: { schema: item(10) } });
  const reverse = await twin.configure(
    'reverse',
    { objects: { include: [{ schema: 'public', table: 'item' }] } },
    { autoStart: true },
  );
  await twin.configure('forward', all, { start: true });
  await twin.initialize('forward');
  await twin.b.query('create table extra (id int primary key)');
  await twin.configure('reverse', all, { start: true });
  const writer = await twin.b.connect();
  await writer.query('begin; insert into extra values (1)');
  const running = twin.initialize('reverse');
  await until('the publication to be altered', async () => {
    const rows = await twin.b.rows(
      `select from pg_publication_tables where pubname = $1 and tablename = 'extra'`,
      [publicationName(reverse)],
    );
    return rows.length === 1;
  });
  // This row is written before the publication has the table: only the copy can bring it.
  await writer.query('commit');
  await running;
  expect(await twin.a.rows('select id from extra')).toEqual([{ id: 1 }]);
  expect(
    await twin.b.rows(
      `select p.pubinsert, p.pubupdate, p.pubdelete, t.tablename, t.rowfilter
         from pg_publication p join pg_publication_tables t using (pubname) where pubname = $1 order by 4`,
      [controlPublicationName(reverse)],
    ),
  ).toEqual(
    ['answer', 'outcome', 'pull'].map((tablename) => ({
      pubinsert: true,
      pubupdate: false,
      pubdelete: false,
      tablename,
      rowfilter: `(task = '${reverse}'::text)`,
    })),
  );
});

test('tables without a key, and names that are not there, are refused before anything is made', async () => {
  await using twin = await openCopyTwin({
    a: { schema: 'create table bare (n int)', mustEndClean: true },
    b: { mustEndClean: true },
  });
  await twin.configure('forward', all, { start: true });
  await expect(twin.initialize('forward')).rejects.toMatchObject({ code: 'no-replica-identity' });
  await using other = await openCopyTwin({ a: { mustEndClean: true }, b: { mustEndClean: true } });
  await other.configure(
    'forward',
    { objects: { include: [{ schema: 'public', table: 'nowhere' }] } },
    { start: true },
  );
  await expect(other.initialize('forward')).rejects.toMatchObject({ code: 'relation-unknown' });
});

test('stopping does not wait for the transactions that a new slot waits for', async () => {
  await using twin = await openCopyTwin({ a: { schema: item(10) } });
  const task = await twin.configure('forward', all, { start: true });
  const writer = await twin.a.connect();
  await writer.query('begin; insert into item values (99, 1)');
  const stop = new AbortController();
  const running = twin.initialize('forward', { signal: stop.signal });
  running.catch(() => {});
  await until('the slot to be waited for', async () => {
    const rows = await twin.a.superuserRows(
      `select from pg_stat_activity where query like 'CREATE_REPLICATION_SLOT%' and wait_event_type = 'Lock' and datname = current_database()`,
    );
    return rows.length === 1;
  });
  stop.abort(new Error('stopped'));
  await expect(running).rejects.toThrow('stopped');
  await writer.query('commit');
  const again = await until('a start that works', async () => twin.initialize('forward'), {
    tolerateErrors: true,
  });
  expect(again.prepared.slot).toBe(slotName(task));
  expect(await differences(twin.a, twin.b)).toEqual([]);
});
