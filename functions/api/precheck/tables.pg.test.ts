import { describe, expect, test } from 'vitest';
import { openDatabase } from '../../../test/support/database.ts';
import { applyFix, checkItem, type PrecheckSetting, precheck } from '../../../test/support/precheck.ts';

/** SQL for both sides, the item that then fails or alerts, and what it says. Its own fix makes it pass. */
const cases: {
  name: string;
  item: string;
  a: string;
  b?: string;
  status: 'failed' | 'alert';
  says: RegExp;
  details?: string[];
  setting?: Partial<PrecheckSetting>;
}[] = [
  {
    name: 'a table without any key',
    item: 'keys',
    a: 'create table "No key" (x int)',
    status: 'failed',
    says: /1 table without a usable key: public\.No key/,
  },
  {
    name: 'a unique key that is not the replica identity',
    item: 'keys',
    a: 'create table t (id int not null unique, x int)',
    status: 'failed',
    says: /without a usable key/,
  },
  {
    name: 'a deferrable primary key',
    item: 'keys',
    a: 'create table t (id int primary key deferrable)',
    status: 'failed',
    says: /without a usable key/,
  },
  {
    name: 'REPLICA IDENTITY NOTHING',
    item: 'replica-identity',
    a: 'create table t (id int primary key); alter table t replica identity nothing',
    status: 'failed',
    says: /UPDATE and DELETE would fail/,
  },
  {
    name: 'an unlogged table',
    item: 'table-kinds',
    a: 'create unlogged table t (id int primary key)',
    status: 'failed',
    says: /no changes in the WAL/,
    details: ['public.t is unlogged'],
  },
  {
    name: 'a table with rows on the destination',
    item: 'conflicting-tables',
    a: 'create table t (id int primary key)',
    b: 'create table t (id int primary key); insert into t values (1)',
    status: 'failed',
    says: /1 table of the destination with rows: public\.t/,
  },
  {
    name: 'large objects',
    item: 'large-objects',
    a: 'create table t (id int primary key, file oid)',
    status: 'failed',
    says: /only their numbers/,
    details: ['public.t.file is of type oid'],
  },
  {
    name: 'a foreign key to a table that is not selected',
    item: 'foreign-keys',
    a: 'create table p (id int primary key); create table t (id int primary key, p int references p)',
    status: 'alert',
    says: /1 foreign key to tables that are not selected/,
    setting: { config: { objects: { include: [{ schema: 'public', table: 't' }] } } },
  },
  {
    name: 'a trigger that fires always, on the destination',
    item: 'triggers',
    a: 'create table t (id int primary key)',
    b: `create table t (id int primary key);
        create function f() returns trigger language plpgsql as 'begin return new; end';
        create trigger g before insert on t for each row execute function f();
        alter table t enable always trigger g`,
    status: 'alert',
    says: /Triggers fire on the destination/,
    details: ['public.t, g: ENABLE ALWAYS'],
  },
  {
    name: 'a trigger that will fire always once schema synchronization has made it',
    item: 'triggers',
    a: `create table t (id int primary key);
        create function f() returns trigger language plpgsql as 'begin return new; end';
        create trigger g before insert on t for each row execute function f();
        alter table t enable replica trigger g`,
    status: 'alert',
    says: /Triggers fire on the destination/,
  },
  {
    name: 'columns that differ',
    item: 'schema-differences',
    a: 'create table t (id int primary key, "new one" text, n bigint, o int)',
    b: 'create table t (id int primary key, n text, o int not null, extra int not null)',
    status: 'failed',
    says: /differences that would stop the task/,
    setting: {},
  },
  {
    name: 'a limit on the WAL that slots keep',
    item: 'wal-retention',
    a: `alter system set max_slot_wal_keep_size = '1GB'; select 1`,
    status: 'alert',
    says: /up to 1024 MB only/,
  },
  {
    name: 'sequences that give the same numbers',
    item: 'sequences',
    a: 'create table t (id int generated always as identity primary key); create table u (id serial primary key)',
    b: 'create table t (id int generated always as identity primary key); create table u (id serial primary key)',
    status: 'failed',
    says: /2 key columns filled by sequences/,
    setting: { opposite: {} },
  },
];

describe('an item fails, and passes after its own printed fix', () => {
  for (const { name, item, a: sqlA, b: sqlB, status, says, details, setting } of cases) {
    test(`${item}: ${name}`, async () => {
      const system = /^alter system/.test(sqlA);
      await using a = await openDatabase('a', system ? {} : { schema: sqlA });
      await using b = await openDatabase('b', sqlB ? { schema: sqlB } : {});
      if (system) {
        for (const statement of [sqlA.split(';')[0]!, 'select pg_reload_conf()']) await a.query(statement);
        await expect
          .poll(async () => (await checkItem(item, { a, b })).status, { timeout: 10_000 })
          .toBe(status);
      }
      const whole = { a, b, ...setting };
      const before = await checkItem(item, whole);
      expect(before).toMatchObject({ status, cause: expect.stringMatching(says) });
      expect(before.fix.length).toBeGreaterThan(0);
      if (details) expect(before.details).toEqual(expect.arrayContaining(details));
      await applyFix(before, whole);
      // Settings take effect a moment after the reload.
      await expect
        .poll(async () => (await checkItem(item, whole)).cause, { timeout: 10_000 })
        .not.toMatch(says);
      const after = await checkItem(item, whole);
      expect(after.status, after.details.join('; ')).not.toBe('failed');
      expect(after.fix).toEqual([]);
    });
  }
});

describe('without a fix in SQL', () => {
  test('names that are not there, with what may have been meant; and a selection of nothing', async () => {
    await using a = await openDatabase('a', { schema: 'create table item (id int primary key)' });
    await using b = await openDatabase('b');
    const select = (table: string) =>
      checkItem('selection', { a, b, config: { objects: { include: [{ schema: 'public', table }] } } });
    expect(await select('Item')).toMatchObject({
      status: 'failed',
      cause: '1 selected table not found on the source: public.Item.',
      details: expect.arrayContaining(['public.Item does not exist; public.item does']),
    });
    expect(await select('x*')).toMatchObject({ status: 'failed', cause: expect.stringMatching(/no table/) });
    expect(await select('item')).toMatchObject({ status: 'passed' });
    const few = await checkItem('selection', { a, b, limits: { mostTables: 0 } });
    expect(few.cause).toMatch(/at most 0/);
  });

  test('a foreign table', async () => {
    await using a = await openDatabase('a', {
      schema: `create extension if not exists file_fdw; create server s foreign data wrapper file_fdw;
        create foreign table f (x int) server s options (filename '/dev/null')`,
    });
    await using b = await openDatabase('b');
    expect(await checkItem('table-kinds', { a, b })).toMatchObject({
      status: 'failed',
      details: ['public.f is a foreign table: exclude it'],
    });
  });

  test('what schema synchronization can not make is named', async () => {
    await using a = await openDatabase('a', {
      schema: `create table t (id int primary key); create rule r as on insert to t do also select 1`,
    });
    await using b = await openDatabase('b');
    const found = await checkItem('schema-support', { a, b });
    expect(found).toMatchObject({
      status: 'failed',
      details: expect.arrayContaining(['table public.t: has rules, which are not made']),
    });
  });

  test('without schema synchronization a missing table is a difference', async () => {
    await using a = await openDatabase('a', { schema: 'create table t (id int primary key)' });
    await using b = await openDatabase('b');
    expect(await checkItem('schema-differences', { a, b })).toMatchObject({ status: 'passed' });
    const config = { types: { schema: false, full: true, incremental: true } };
    expect(await checkItem('schema-differences', { a, b, config })).toMatchObject({
      status: 'failed',
      cause: expect.stringMatching(/public\.t does not exist on the destination/),
    });
  });

  test('a database of SQL_ASCII', async () => {
    await using a = await openDatabase('a');
    await using b = await openDatabase('b');
    const name = `${a.name}_ascii`;
    await a.query(
      `create database ${name} encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C' template template0`,
    );
    try {
      expect(await checkItem('encoding', { a: { ...a, name }, b })).toMatchObject({
        status: 'failed',
        details: expect.arrayContaining(['source: SQL_ASCII', 'destination: UTF8']),
      });
    } finally {
      await a.query(`drop database ${name} with (force)`);
    }
  });

  test('last-write-wins needs track_commit_timestamp', async () => {
    await using a = await openDatabase('a');
    await using b = await openDatabase('b');
    const on = (await a.rows('show track_commit_timestamp'))[0]?.['track_commit_timestamp'] === 'on';
    expect(await checkItem('commit-timestamp', { a, b })).toMatchObject({ status: 'passed' });
    const found = await checkItem('commit-timestamp', {
      a,
      b,
      config: { conflictPolicy: 'last-write-wins' },
    });
    expect(found.status).toBe(on ? 'passed' : 'failed');
    if (!on) expect(found.fix[0]?.sql).toBe('alter system set track_commit_timestamp = on;');
  });
});

describe('the reverse task', () => {
  test('tables that the forward task synchronizes are no conflicting tables; others are', async () => {
    const schema = 'create table t (id int primary key); insert into t values (1)';
    await using a = await openDatabase('a', { schema });
    await using b = await openDatabase('b', { schema });
    const reverse = { a, b, direction: 'reverse' as const };
    expect((await checkItem('conflicting-tables', { ...reverse, opposite: {} })).status).toBe('passed');
    const other = { config: { objects: { include: [{ schema: 'other' }] } } };
    expect((await checkItem('conflicting-tables', { ...reverse, opposite: other })).status).toBe('failed');
    expect((await checkItem('conflicting-tables', { a, b, opposite: {} })).status).toBe('failed');
  });

  test('before the forward has run, its tables are expected; keys that both will fill are an alert', async () => {
    await using a = await openDatabase('a', { schema: 'create table t (id serial primary key)' });
    await using b = await openDatabase('b');
    const config = { objects: { include: [{ schema: 'public', table: 't' }] } };
    const setting = {
      a,
      b,
      direction: 'reverse' as const,
      config,
      opposite: { state: 'PrecheckPassed' as const },
    };
    expect(await checkItem('selection', setting)).toMatchObject({
      status: 'passed',
      cause: '1 table selected.',
    });
    expect(await checkItem('sequences', setting)).toMatchObject({ status: 'alert', ignorable: true });
    const running = await checkItem('selection', { ...setting, opposite: { state: 'Running' } });
    expect(running.status).toBe('failed');
  });
});

test('a whole report: two fresh databases of one schema are ready', async () => {
  await using a = await openDatabase('a', {
    schema: 'create table t (id uuid primary key); insert into t values (gen_random_uuid())',
  });
  await using b = await openDatabase('b');
  const report = await precheck({ a, b, limits: { longTransactionSeconds: 3600 } });
  const open = report.items.filter(({ status }) => status !== 'passed');
  // Both test servers are the size of many tests; nothing of their settings is a reason to wait.
  expect(open).toEqual([]);
  expect(report).toMatchObject({ ready: true, successRate: 100, tables: 1 });
});

test('an unreachable side fails its item, and nothing that needs it counts as checked', async () => {
  await using a = await openDatabase('a');
  await using b = await openDatabase('b');
  const report = await precheck({ a: { ...a, password: 'wrong' }, b });
  expect(report.ready).toBe(false);
  expect(report.items[0]).toMatchObject({ item: 'source-connection', status: 'failed' });
  expect(report.items[1]).toMatchObject({ item: 'destination-connection', status: 'passed' });
  expect(report.items.slice(2).every(({ status }) => status === 'failed')).toBe(true);
});
