import pg from 'pg';
import { expect, inject, test } from 'vitest';
import { openDatabase } from './database.ts';

const exists = async (server: { url: string }, name: string): Promise<boolean> => {
  const client = new pg.Client(server.url);
  await client.connect();
  const { rows } = await client.query(
    `select from pg_database where datname = $1 union all
     select from pg_roles where rolname like $1 || '%' union all
     select from pg_replication_slots where database = $1`,
    [name],
  );
  await client.end();
  return rows.length > 0;
};

test('a database has its schema, is alone, and is gone afterwards with its slots and open connections', async () => {
  let name = '';
  {
    await using database = await openDatabase('a', { schema: 'create table item (id int primary key)' });
    name = database.name;
    await database.query('insert into item values (1); insert into item values (2)');
    expect(await database.superuserRows('select 1 as one')).toEqual([{ one: 1 }]);
    await database.query(`select pg_create_logical_replication_slot('left_${name}', 'pgoutput')`);
    const other = await database.connect();
    await other.query('begin; lock table item');
    expect(await exists(database.server, name)).toBe(true);
  }
  expect(await exists(inject('postgres').a, name)).toBe(false);
});

test('a slot that a walsender reads does not keep the database', async () => {
  const database = await openDatabase('b', { schema: 'create publication everything for all tables' });
  const slot = `reading_${database.name}`;
  await database.query(`select pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
  const reader = new pg.Client({
    connectionString: database.url,
    replication: 'database',
  } as pg.ClientConfig);
  const ended = new Promise((done) => reader.on('error', done));
  await reader.connect();
  reader
    .query(`start_replication slot ${slot} logical 0/0 (proto_version '1', publication_names 'everything')`)
    .catch(() => undefined);
  await database[Symbol.asyncDispose]();
  await ended;
  expect(await exists(inject('postgres').b, database.name)).toBe(false);
});

test('a plain account owns its database and may replicate, but is no superuser', async () => {
  await using database = await openDatabase('a', { account: 'plain', schema: 'create table item (id int)' });
  expect(
    await database.rows(
      'select rolsuper, rolreplication, rolcanlogin from pg_roles where rolname = current_user',
    ),
  ).toEqual([{ rolsuper: false, rolreplication: true, rolcanlogin: true }]);
  await database.query('create publication p for table item');
  await expect(database.query('set session_replication_role = replica')).rejects.toMatchObject({
    code: '42501',
  });
});

test('what was left is named, and the database is dropped all the same', async () => {
  const database = await openDatabase('b', {
    mustEndClean: true,
    schema: 'create table item (id int); create publication forgotten for table item; create schema pgtwin',
  });
  expect(await database.leftovers()).toEqual(['publication forgotten', 'schema pgtwin']);
  await expect(database[Symbol.asyncDispose]()).rejects.toThrow('publication forgotten, schema pgtwin');
  expect(await exists(inject('postgres').b, database.name)).toBe(false);
});

test('the two servers are two', async () => {
  await using a = await openDatabase('a');
  await using b = await openDatabase('b');
  const id = 'select system_identifier::text as id from pg_control_system()';
  expect(await a.rows(id)).not.toEqual(await b.rows(id));
});
