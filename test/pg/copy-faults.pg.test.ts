import { expect, test } from 'vitest';
import { readCopyMessage } from '../../shared/copy/work.ts';
import { slotName } from '../../shared/postgres/names.ts';
import { type CopyTwin, openCopyTwin } from '../support/copy-twin.ts';
import { differences } from '../support/tables.ts';
import { until } from '../support/wait.ts';

const all = { objects: { include: [{ schema: '*' }] } };
const small = { ...all, chunkRows: 1000 };
const rows = (n: number, table = 'item') =>
  /* sql */ `create table ${table} (id int primary key, filler text);
   insert into ${table} select n, repeat('x', 100) from generate_series(1, ${n}) n; analyze ${table};`;

/** Ends the connections of a kind on a side, as a broken network does. */
const kill = (twin: CopyTwin, side: 'a' | 'b', application: string) =>
  twin[side].superuserRows(
    /* sql */ `select pg_terminate_backend(pid) from pg_stat_activity
                where datname = current_database() and application_name like $1`,
    [application],
  );

test('rows that are written meanwhile: the copy shows one moment of the source', async () => {
  await using twin = await openCopyTwin({
    a: { schema: rows(20_000, 'left_one') + rows(20_000, 'right_one') },
  });
  await twin.configure('forward', small, { start: true });
  const writer = await twin.a.connect();
  let writing = true;
  let written = 0;
  const writes = (async () => {
    while (writing) {
      const n = 30_000 + written++;
      await writer.query(/* sql */ `begin;
        insert into left_one values (${n}, 'new'); insert into right_one values (${n}, 'new');
        update left_one set filler = '${n}' where id = ${1 + (n % 20_000)};
        update right_one set filler = '${n}' where id = ${1 + (n % 20_000)};
        delete from left_one where id = ${1 + ((n * 7) % 20_000)}; delete from right_one where id = ${1 + ((n * 7) % 20_000)};
        commit`);
    }
  })();
  await until('some writes', async () => written > 20);
  await twin.initialize('forward');
  writing = false;
  await writes;
  const apart = /* sql */ `select count(*)::int as n from left_one l full join right_one r using (id)
    where l.filler is distinct from r.filler`;
  expect(await twin.b.rows(apart)).toEqual([{ n: 0 }]);
  const [copied] = await twin.b.rows('select count(*)::int as n from left_one');
  expect(copied!['n']).toBeGreaterThan(15_000);
});

test('rows that the destination has are kept, the others are added', async () => {
  await using twin = await openCopyTwin({
    a: { schema: rows(5000) },
    b: {
      schema: /* sql */ `create table item (id int primary key, filler text, more int default 7);
        insert into item select n, 'mine' from generate_series(1, 4000, 2) n`,
    },
  });
  await twin.configure('forward', { ...small, conflictingTables: 'ignore' }, { start: true });
  await twin.initialize('forward');
  const kept = /* sql */ `select filler = 'mine' as mine, count(*)::int as n, min(more) as more from item group by 1 order by 1`;
  expect(await twin.b.rows(kept)).toEqual([
    { mine: false, n: 3000, more: 7 },
    { mine: true, n: 2000, more: 7 },
  ]);
});

test('a row that appears between planning and copying is kept', async () => {
  await using twin = await openCopyTwin({
    a: { schema: rows(3000) },
    b: { schema: 'create table item (id int primary key, filler text, unique (filler, id) deferrable)' },
  });
  await twin.configure('forward', small, { start: true });
  const user = twin.b.query.bind(twin.b);
  let wrote: Promise<unknown> | undefined;
  twin.work.deliver = async (body, run) => {
    wrote ??= user(`insert into item values (1500, 'mine')`);
    await wrote;
    await run(body);
  };
  await twin.initialize('forward');
  expect(
    await twin.b.rows(
      `select count(*)::int as n, count(*) filter (where filler = 'mine')::int as mine from item`,
    ),
  ).toEqual([{ n: 3000, mine: 1 }]);
});

test('messages delivered twice, and at once, copy each chunk once', async () => {
  await using twin = await openCopyTwin({ a: { schema: rows(20_000) + rows(10, 'tiny') } });
  const task = await twin.configure('forward', small, { start: true });
  twin.work.deliver = async (body, run) => {
    await Promise.all([run(body), run(body)]);
    await run(body);
  };
  await twin.initialize('forward');
  await twin.work.idle();
  expect(await differences(twin.a, twin.b)).toEqual([]);
  const ledger = /* sql */ `select sum(copied_rows)::int as n from pgtwin.copy_chunk where task = $1 and chunk > 0`;
  expect(await twin.b.rows(ledger, [task])).toEqual([{ n: 20_010 }]);
});

test('workers whose connections are cut are started again', async () => {
  await using twin = await openCopyTwin({ a: { schema: rows(30_000) } });
  await twin.configure('forward', small, { start: true });
  let cuts = 0;
  let cut: Promise<unknown> = Promise.resolve();
  twin.work.deliver = async (body, run) => {
    const running = run(body);
    const n = cuts++;
    // One after the other, whatever the workers are doing by then.
    if (n < 4) cut = cut.then(() => kill(twin, n % 2 ? 'a' : 'b', 'pgtwin % copy'));
    await cut;
    await running;
  };
  await twin.initialize('forward');
  expect(cuts).toBeGreaterThan(4);
  expect(await differences(twin.a, twin.b)).toEqual([]);
});

test('with the snapshot lost, finished tables stay and the others are copied again; the slot is kept', async () => {
  await using twin = await openCopyTwin({ a: { schema: rows(40_000, 'large') + rows(10_000, 'medium') } });
  const task = await twin.configure('forward', { ...small, copyParallelism: 1 }, { start: true });
  let delivered = 0;
  const copiedTables = new Set<string>();
  twin.work.deliver = async (body, run) => {
    delivered += 1;
    for (const item of readCopyMessage(body).items) copiedTables.add(item.table.name);
    if (delivered === 5) await kill(twin, 'a', 'pgtwin % snapshot');
    await run(body);
  };
  await expect(twin.initialize('forward')).rejects.toMatchObject({ code: 'database-unreachable' });
  await twin.work.idle();
  const slot = 'select restart_lsn::text from pg_replication_slots where slot_name = $1';
  const before = await twin.a.rows(slot, [slotName(task)]);
  expect(before).toHaveLength(1);
  const partly = await twin.b.rows<{ n: number }>('select count(*)::int as n from large');
  expect(partly[0]!.n).toBeGreaterThan(0);
  expect(partly[0]!.n).toBeLessThan(40_000);
  // What changed meanwhile comes through the stream, too: rows that are there already are kept.
  await twin.a.query(
    `update large set filler = 'changed' where id <= 10; insert into large values (50000, 'new')`,
  );

  await twin.initialize('forward');
  expect(await twin.a.rows(slot, [slotName(task)])).toEqual(before);
  expect(await twin.b.rows('select count(*)::int as n, count(distinct id)::int as d from large')).toEqual([
    { n: 40_001, d: 40_001 },
  ]);
  const keys = `select count(*)::int as n from pg_constraint where contype = 'p' and conrelid::regclass::text in ('large', 'medium')`;
  expect(await twin.b.rows(keys)).toEqual([{ n: 2 }]);
  copiedTables.clear();
  await twin.initialize('forward');
  expect([...copiedTables]).toEqual([]);
});

test('ended between the last chunk and its primary key: the next attempt keeps the rows and builds the key', async () => {
  await using twin = await openCopyTwin({ a: { schema: rows(5000) } });
  await twin.configure('forward', small, { start: true });
  // Lets rows in and keeps the key out.
  const locker = await twin.b.connect();
  let locked: Promise<unknown> | undefined;
  twin.work.deliver = async (body, run) => {
    locked ??= locker.query('begin; lock table item in row exclusive mode');
    await locked;
    await run(body);
  };
  const stop = new AbortController();
  const ended = expect(twin.initialize('forward', { signal: stop.signal })).rejects.toThrow();
  const building = /* sql */ `select pid from pg_stat_activity where datname = current_database()
    and wait_event_type = 'Lock' and query ilike 'alter table%primary key%'`;
  await until('the key to wait', async () => (await twin.b.superuserRows(building))[0]?.['pid']);
  stop.abort();
  await ended;
  await locker.query('rollback');
  const counts = 'select count(*)::int as n, count(distinct id)::int as d from item';
  expect(await twin.b.rows(counts)).toEqual([{ n: 5000, d: 5000 }]);
  const keys = `select count(*)::int as n from pg_constraint where contype = 'p' and conrelid = 'item'::regclass`;
  expect(await twin.b.rows(keys)).toEqual([{ n: 0 }]);

  await twin.initialize('forward');
  expect(await twin.b.rows(counts)).toEqual([{ n: 5000, d: 5000 }]);
  expect(await twin.b.rows(keys)).toEqual([{ n: 1 }]);
  expect(await differences(twin.a, twin.b)).toEqual([]);
});

test('a worker of a former attempt can not commit any more', async () => {
  await using twin = await openCopyTwin({ a: { schema: rows(5000) } });
  await twin.configure('forward', { ...small, copyParallelism: 1 }, { start: true });
  // A lock makes the first worker wait in the middle of its chunk.
  const locker = await twin.b.connect();
  const stop = new AbortController();
  const waiting = /* sql */ `select pid from pg_stat_activity where datname = current_database()
    and application_name like 'pgtwin % copy' and wait_event_type = 'Lock'`;
  let former: unknown;
  twin.work.deliver = async (body, run) => {
    if (stop.signal.aborted) return run(body);
    await locker.query('begin; lock table item in share mode');
    const running = run(body);
    former = await until('the worker to wait', async () => (await twin.b.superuserRows(waiting))[0]?.['pid']);
    stop.abort();
    await running;
  };
  await expect(twin.initialize('forward', { signal: stop.signal })).rejects.toThrow();
  const second = twin.initialize('forward');
  await until('the worker to be ended', async () => {
    const there = await twin.b.superuserRows('select from pg_stat_activity where pid = $1', [former]);
    return there.length === 0;
  });
  await locker.query('commit');
  await second;
  await twin.work.idle();
  expect(await differences(twin.a, twin.b)).toEqual([]);
});

test('a row that the destination refuses is told by table, chunk and SQLSTATE, without its values', async () => {
  await using twin = await openCopyTwin({
    a: {
      schema: `create table item (id int primary key, n text); insert into item values (1, 'verysecret')`,
    },
    b: { schema: `create table item (id int primary key, n text check (n <> 'verysecret'))` },
  });
  await twin.configure('forward', all, { start: true });
  const failed = await twin.initialize('forward').catch((error) => error);
  expect(failed).toMatchObject({
    code: 'copy-failed',
    facts: { table: '"public"."item"', chunk: 0, sqlstate: '23514' },
  });
  expect(failed.message).toContain('constraint item_n_check');
  expect(failed.message + JSON.stringify(twin.table.keys()) + twin.logged.join()).not.toContain('verysecret');
  // Mended, the task goes on.
  await twin.b.query('alter table item drop constraint item_n_check');
  await twin.initialize('forward');
  expect(await differences(twin.a, twin.b)).toEqual([]);
});

test('a value that the type of the destination does not take is not shown either', async () => {
  await using twin = await openCopyTwin({
    a: {
      schema: `create table item (id int primary key, n text); insert into item values (1, 'verysecret')`,
    },
    b: { schema: `create table item (id int primary key, n int)` },
  });
  await twin.configure('forward', all, { start: true });
  const failed = await twin.initialize('forward').catch((error) => error);
  expect(failed).toMatchObject({ code: 'copy-failed', facts: { sqlstate: '22P02' } });
  expect(failed.message + String(failed.cause) + twin.logged.join()).not.toContain('verysecret');
});
