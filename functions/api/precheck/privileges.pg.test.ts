import { expect, test } from 'vitest';
import { ident } from '../../../shared/postgres/ident.ts';
import { openDatabase, type TestDatabase } from '../../../test/support/database.ts';
import { applyFix, checkItem, type PrecheckSetting } from '../../../test/support/precheck.ts';

/** An item fails, or alerts, as it should; its own printed fix makes it pass. */
async function failsThenPasses(
  item: string,
  setting: PrecheckSetting,
  status: 'failed' | 'alert',
  cause: RegExp,
) {
  const before = await checkItem(item, setting);
  expect(before).toMatchObject({ status, cause: expect.stringMatching(cause) });
  expect(before.fix.length).toBeGreaterThan(0);
  expect(before.ignorable).toBe(status === 'alert');
  await applyFix(before, setting);
  expect(await checkItem(item, setting)).toMatchObject({ status: 'passed' });
  return before;
}

const table = 'create table item (id int primary key, name text)';
const asSuperuser = (database: TestDatabase, ...statements: string[]) =>
  statements.reduce(
    (before, sql) => before.then(() => database.superuserRows(sql)),
    Promise.resolve<unknown>(0),
  );

test('a plain owner with REPLICATION passes all privileges but the two that have a fallback', async () => {
  await using a = await openDatabase('a', { account: 'plain', schema: table });
  await using b = await openDatabase('b', { account: 'plain' });
  const setting = { a, b };
  const items = ['replication-privilege', 'publication-privilege', 'source-privileges', 'helper-schema'];
  for (const item of [...items, 'destination-create', 'destination-write', 'row-security'])
    expect(await checkItem(item, setting)).toMatchObject({ item, status: 'passed' });
  await failsThenPasses('replica-role', setting, 'alert', /fire for every synchronized row/);
  // This grant is the server's, not the database's: it would outlive it.
  await asSuperuser(b, `revoke set on parameter session_replication_role from ${ident(b.user)}`);
  await failsThenPasses('replication-origins', setting, 'alert', /carry no origin/);
});

test('each shard needs an origin of its own', async () => {
  await using a = await openDatabase('a', { schema: table });
  await using b = await openDatabase('b');
  const few = await checkItem('replication-origins', { a, b, shards: 16 });
  expect(few).toMatchObject({ status: 'passed', details: [expect.stringMatching(/ 16 needed$/)] });
  const many = await checkItem('replication-origins', { a, b, shards: 1000 });
  expect(many).toMatchObject({ status: 'alert', cause: expect.stringMatching(/^Too few origins/) });
  const [fix] = many.fix;
  expect(fix?.sql).toMatch(/^alter system set max_(active_replication_origins|replication_slots) = \d{4};$/);
});

test('REPLICATION', async () => {
  await using a = await openDatabase('a', { account: 'plain', schema: table });
  await using b = await openDatabase('b');
  await asSuperuser(a, `alter role ${ident(a.user)} noreplication`);
  await failsThenPasses('replication-privilege', { a, b }, 'failed', /may not open a replication connection/);
});

test('CREATE on the database and ownership of the tables, for the publication', async () => {
  await using a = await openDatabase('a', { account: 'plain' });
  await using b = await openDatabase('b');
  const owner = `${a.name}_other`;
  await asSuperuser(
    a,
    `create role ${ident(owner)}`,
    `alter database ${ident(a.name)} owner to ${ident(a.server.user)}`,
    table,
    `alter table item owner to ${ident(owner)}`,
  );
  try {
    const before = await failsThenPasses(
      'publication-privilege',
      { a, b },
      'failed',
      /CREATE on the database/,
    );
    expect(before.details.join()).toContain(`public.item belongs to ${owner}`);
  } finally {
    await asSuperuser(a, 'drop table item', `drop role ${ident(owner)}`);
  }
});

test('USAGE and SELECT on the source', async () => {
  await using a = await openDatabase('a', { account: 'plain' });
  await using b = await openDatabase('b');
  await asSuperuser(
    a,
    'create schema "Other schema"',
    'create table "Other schema"."Item" (id int primary key)',
    table,
  );
  const config = { objects: { include: [{ schema: 'Other*' }, { schema: 'public' }] } };
  const before = await failsThenPasses(
    'source-privileges',
    { a, b, config },
    'failed',
    /may not read 2 tables/,
  );
  expect(before.details).toEqual(['Other schema.Item', 'public.item']);
});

test('schema pgtwin on both sides', async () => {
  await using a = await openDatabase('a', { account: 'plain' });
  await using b = await openDatabase('b', { account: 'plain' });
  for (const each of [a, b])
    await asSuperuser(each, `alter database ${ident(each.name)} owner to ${ident(each.server.user)}`);
  const before = await failsThenPasses('helper-schema', { a, b }, 'failed', /can not be made/);
  expect(before.fix.map(({ side }) => side)).toEqual(['source', 'destination']);
});

test('CREATE on the destination, in a schema that is there and for one that is not', async () => {
  await using a = await openDatabase('a', {
    schema: `${table}; create schema shop; create table shop.x (id int primary key)`,
  });
  await using b = await openDatabase('b', { account: 'plain' });
  await asSuperuser(
    b,
    `alter database ${ident(b.name)} owner to ${ident(b.server.user)}`,
    `alter schema public owner to ${ident(b.server.user)}`,
  );
  const config = { objects: { include: [{ schema: '*' }] } };
  const before = await failsThenPasses('destination-create', { a, b, config }, 'failed', /may not create/);
  expect(before.fix).toHaveLength(2);
});

test('INSERT, UPDATE, DELETE on the destination', async () => {
  await using a = await openDatabase('a', { schema: table });
  await using b = await openDatabase('b', { account: 'plain' });
  await asSuperuser(b, table, `grant select, insert on item to ${ident(b.user)}`);
  const before = await failsThenPasses('destination-write', { a, b }, 'failed', /may not write to 1 table/);
  expect(before.details).toEqual(['public.item: no update, delete, truncate']);
});

test('row security that hides rows, on either side', async () => {
  const secured = `${table}; alter table item enable row level security`;
  await using a = await openDatabase('a', { account: 'plain' });
  await using b = await openDatabase('b', { account: 'plain' });
  await asSuperuser(a, secured);
  await asSuperuser(b, secured);
  const before = await failsThenPasses('row-security', { a, b }, 'failed', /Row security applies/);
  expect(before.details).toEqual(['source: public.item', 'destination: public.item']);
});

test('prepared and long transactions', async () => {
  await using a = await openDatabase('a', { schema: table });
  await using b = await openDatabase('b');
  const limits = { longTransactionSeconds: 0 };
  const long = await a.connect();
  await long.query('begin; insert into item values (1)');
  await a.query(`begin; insert into item values (2); prepare transaction 'it''s'`);
  const setting = { a, b, limits };
  const before = await checkItem('long-transactions', setting);
  expect(before).toMatchObject({ status: 'alert', ignorable: true });
  // Of the server's other databases, other tests may have transactions: only our own statements are run here.
  const own = before.fix.filter(({ sql }) => sql.startsWith('rollback prepared'));
  expect(own.map(({ sql }) => sql)).toEqual([`rollback prepared 'it''s';`]);
  const { rows } = await a.query<{ pid: number }>(
    `select pid from pg_stat_activity where state = 'idle in transaction' and datname = current_database()`,
  );
  const mine = before.fix.filter(({ sql }) => sql === `select pg_terminate_backend(${rows[0]?.pid});`);
  expect(mine).toHaveLength(1);
  await applyFix({ ...before, fix: [...own, ...mine] }, setting);
  const after = await checkItem('long-transactions', setting);
  expect(after.fix.filter(({ sql }) => sql === mine[0]?.sql || sql === own[0]?.sql)).toEqual([]);
});
