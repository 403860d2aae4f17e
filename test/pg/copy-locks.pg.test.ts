import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SnapshotHolder } from '../../functions/capture/snapshot.ts';
import { openDatabase } from '../support/database.ts';
import { openPlatform, openTwin, type TestPlatform, type Twin } from '../support/twin.ts';
import { until } from '../support/wait.ts';

let on: TestPlatform;
beforeAll(async () => {
  on = await openPlatform();
});
afterAll(async () => {
  await on?.[Symbol.asyncDispose]();
});

const schema = /* sql */ `
  create table item (id int primary key, t text);
  insert into item select g, 'row' from generate_series(1, 1000) g;
  create table other (id int primary key);`;

/** Starts a pair while a transaction of a user is open on side a, which the making of the slot has to wait for. */
async function startWhileWriting(): Promise<{ twin: Promise<Twin>; user: pg.Client }> {
  let url = '';
  const through = (direct: string): string => {
    url = direct;
    return direct;
  };
  const began = Promise.withResolvers<pg.Client>();
  const call: TestPlatform['call'] = async (method, path, body) => {
    if (path.endsWith('/tasks/forward/start')) {
      const user = new pg.Client(url);
      await user.connect();
      await user.query('begin; insert into other values (1)');
      began.resolve(user);
    }
    return on.call(method, path, body);
  };
  const twin = openTwin({ call }, { schema, through: { a: through } });
  twin.catch(began.reject);
  const user = await began.promise;
  const watcher = new pg.Client(url);
  await watcher.connect();
  await until('the slot to wait for the transaction', async () => {
    const { rows } = await watcher.query(/* sql */ `
      select from pg_stat_activity where datname = current_database()
         and query like 'CREATE_REPLICATION_SLOT%' and wait_event_type = 'Lock'`);
    return rows.length > 0;
  });
  await watcher.end();
  return { twin, user };
}

test('a TRUNCATE that comes while the slot waits for its transaction goes on, and the copy with it', async () => {
  const { twin: starting, user } = await startWhileWriting();
  // The slot waits for this transaction: would that wait for the locks of the copy, it would never end.
  await user.query(
    `set statement_timeout = '5s'; truncate item; insert into item values (1, 'after'); commit`,
  );
  await user.end();
  await using twin = await starting;
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
  expect(await twin.b.rows('select * from item')).toEqual([{ id: 1, t: 'after' }]);
});

test('a table that is rewritten between the snapshot and the locks is not copied as it looks then: empty', async () => {
  await using database = await openDatabase('a', { schema });
  const { host, port } = database.server;
  const target = { host, port, ...database, database: database.name, tls: 'disable' as const };
  const exporting = await database.connect();
  await exporting.query('begin isolation level repeatable read');
  const { rows } = await exporting.query('select pg_export_snapshot() as snapshot');
  const item = { schema: 'public', name: 'item' };
  const open = () =>
    SnapshotHolder.open(target, 'test', [item], { snapshot: rows[0].snapshot, now: database.client });
  await (await open()).close();
  for (const change of [
    'alter table item alter column id type bigint',
    'truncate item',
    'alter table item add column more int',
  ]) {
    await database.query(change);
    await expect(open()).rejects.toMatchObject({ code: 'copy-failed' });
  }
});
