import { execFile } from 'node:child_process';
import { chmod, chown, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { expect, inject, test } from 'vitest';
import { type PostgresServer, startPostgres } from '../../../infra/local/postgres-server.ts';
import { certificate, privateKey } from '../../../test/support/certificate.ts';
import { openDatabase, type TestDatabase } from '../../../test/support/database.ts';
import { applyFix, checkItem } from '../../../test/support/precheck.ts';
import { until } from '../../../test/support/wait.ts';
import { serverVersion } from './items/server.ts';

/** The server's own database `postgres` as a test database: settings need a server that may be restarted. */
function databaseOf(server: PostgresServer, like: TestDatabase): TestDatabase {
  const superuserRows: TestDatabase['superuserRows'] = async <Row extends pg.QueryResultRow>(sql: string) => {
    const client = new pg.Client(server.url);
    await client.connect();
    try {
      return (await client.query<Row>(sql)).rows;
    } finally {
      await client.end();
    }
  };
  const { user, password } = server;
  return { ...like, server, name: 'postgres', user, password, superuserRows };
}

test('settings that need a restart: each item fails, and passes after its fix and a restart', async () => {
  await using b = await openDatabase('b');
  const dataDir = await mkdtemp(join(tmpdir(), 'pgtwin-settings-'));
  const binDir = process.env['PGTWIN_TEST_PG_BIN_A'] || process.env['PGTWIN_TEST_PG_BIN'] || undefined;
  const server = await startPostgres({
    ...{ dataDir, binDir },
    settings: {
      ...{ wal_level: 'replica', max_replication_slots: '0', max_wal_senders: '0' },
      ...{ track_commit_timestamp: 'off', fsync: 'off' },
    },
  });
  try {
    expect(server.major).toBe(inject('postgres').a.major);
    const setting = {
      ...{ a: databaseOf(server, b), b },
      config: { objects: { include: [{ schema: 'public' }] }, conflictPolicy: 'last-write-wins' },
    };
    const items = ['wal-level', 'replication-slots', 'commit-timestamp'];
    const before = [];
    for (const item of items) before.push(await checkItem(item, setting));
    expect(before).toMatchObject([
      { status: 'failed', cause: 'wal_level is replica: changes can not be decoded from the WAL.' },
      { status: 'failed', cause: 'No more room: max_replication_slots, max_wal_senders.' },
      { status: 'failed', cause: expect.stringMatching(/policy last-write-wins compares commit times/) },
    ]);
    for (const found of before) {
      expect(found.details.join()).toMatch(/restarted/);
      await applyFix(found, setting);
    }
    await server.restart('immediate');
    for (const item of items)
      expect(await checkItem(item, setting)).toMatchObject({ item, status: 'passed' });
  } finally {
    await server.stop('immediate');
    await rm(dataDir, { recursive: true, force: true });
  }
});

const objects = { include: [{ schema: 'public' }] };
const binDir = process.env['PGTWIN_TEST_PG_BIN_A'] || process.env['PGTWIN_TEST_PG_BIN'] || undefined;

test('a standby: it is no side for a pair until it is promoted, and its primary would lose the slot', async () => {
  await using b = await openDatabase('b');
  const folder = await mkdtemp(join(tmpdir(), 'pgtwin-standby-'));
  // The server's own user must get in.
  await chmod(folder, 0o755);
  const [first, second] = [join(folder, 'primary'), join(folder, 'standby')];
  const primary = await startPostgres({ dataDir: first, binDir, settings: { fsync: 'off' } });
  let standby: PostgresServer | undefined;
  try {
    const a = databaseOf(primary, b);
    const setting = { a, b, config: { objects } };
    expect(await checkItem('slot-failover', setting)).toMatchObject({ status: 'passed' });
    expect(await checkItem('writable', setting)).toMatchObject({ status: 'passed' });
    await a.superuserRows(`select pg_create_physical_replication_slot('standby', true)`);
    // A copy of the files between start and end of a backup, on one session, is a base backup (manual, 26.3.3).
    const client = new pg.Client(primary.url);
    await client.connect();
    await client.query(`select pg_backup_start('standby', true)`);
    await promisify(execFile)('cp', ['-a', first, second]);
    const { rows } = await client.query(`select labelfile from pg_backup_stop()`);
    await client.end();
    await rm(join(second, 'postmaster.pid'), { force: true });
    await writeFile(join(second, 'backup_label'), rows[0].labelfile);
    await writeFile(join(second, 'standby.signal'), '');
    const { uid, gid } = await stat(join(second, 'PG_VERSION'));
    for (const name of ['backup_label', 'standby.signal']) await chown(join(second, name), uid, gid);
    const { host, port, user, password } = primary;
    standby = await startPostgres({
      ...{ dataDir: second, binDir },
      settings: {
        ...{ fsync: 'off', primary_slot_name: 'standby' },
        primary_conninfo: `host=${host} port=${port} user=${user} password=${password}`,
      },
    });
    const failover = await until('the standby to stream', async () => {
      const found = await checkItem('slot-failover', setting);
      return found.status === 'alert' && found;
    });
    expect(failover).toMatchObject({ ignorable: true, cause: expect.stringMatching(/has a standby/) });

    const replica = { ...setting, a: databaseOf(standby, b) };
    const found = await checkItem('writable', replica);
    expect(found).toMatchObject({ status: 'failed', ignorable: false });
    await applyFix(found, replica);
    expect(await checkItem('writable', replica)).toMatchObject({ status: 'passed' });
    // A promoted standby is on a timeline of its own: a slot of before the switch-over is not one of it.
    const identity = await checkItem('server-identity', setting);
    expect(identity.status).toBe('passed');
    const [, systemId = '', timeline = ''] = /system (\d+), timeline (\d+)/.exec(identity.details[0]!)!;
    const prepared = { systemId, timeline: Number(timeline) };
    expect(await checkItem('server-identity', { ...setting, prepared })).toMatchObject({ status: 'passed' });
    expect(await checkItem('server-identity', { ...replica, prepared })).toMatchObject({
      ...{ status: 'failed', ignorable: false },
      cause: expect.stringMatching(/another timeline/),
    });
  } finally {
    await standby?.stop('immediate');
    await primary.stop('immediate');
    await rm(folder, { recursive: true, force: true });
  }
});

test('a connection that leaves the machine should be encrypted', async () => {
  await using b = await openDatabase('b');
  const folder = await mkdtemp(join(tmpdir(), 'pgtwin-tls-'));
  await chmod(folder, 0o755);
  const dataDir = join(folder, 'data');
  const server = await startPostgres({ dataDir, binDir, settings: { fsync: 'off' } });
  try {
    const { uid, gid } = await stat(join(dataDir, 'PG_VERSION'));
    for (const [name, text] of Object.entries({ 'server.crt': certificate, 'server.key': privateKey })) {
      await writeFile(join(dataDir, name), text, { mode: 0o600 });
      await chown(join(dataDir, name), uid, gid);
    }
    // Another name of this machine, which does not look like it.
    const a = databaseOf({ ...server, host: '0.0.0.0' }, b);
    for (const sql of ['alter system set ssl = on', 'select pg_reload_conf()']) await a.superuserRows(sql);
    const open = await checkItem('tls', { a, b, config: { objects } });
    expect(open).toMatchObject({ status: 'alert', ignorable: true });
    expect(open.cause).toBe('The connection to the source is not encrypted.');
    expect(open.details).toContain('source: mode disable, the connection is not encrypted');
    // The fix is no SQL: the pair's TLS mode. The server takes a moment to reload.
    await until('the server offers TLS', async () => {
      const [row] = await a.superuserRows<{ ssl: string }>('show ssl');
      return row?.ssl === 'on';
    });
    expect(await checkItem('tls', { a, b, config: { objects }, tls: 'require' })).toMatchObject({
      status: 'passed',
      details: expect.arrayContaining(['source: mode require, the connection is encrypted']),
    });
  } finally {
    await server.stop('immediate');
    await rm(folder, { recursive: true, force: true });
  }
});

test('clocks that differ, and a server that is newer than any that was tried', async () => {
  await using a = await openDatabase('a');
  await using b = await openDatabase('b');
  expect(await checkItem('server-time', { a, b })).toMatchObject({ status: 'passed' });
  const apart = await checkItem('server-time', { a, b, limits: { clockDifferenceSeconds: -1 } });
  expect(apart).toMatchObject({ status: 'alert', ignorable: true, cause: expect.stringMatching(/clock is/) });
  const known = await checkItem('server-version', { a, b });
  expect(known.status).toBe('passed');
  expect(known.details[0]).toMatch(/^source: PostgreSQL \d+/);
  const newer = (role: string) => ({ role, server: { versionNumber: 990001, version: '99.1' } });
  const context = { source: newer('source'), destination: newer('destination') } as never;
  expect(await serverVersion.run(context)).toMatchObject({
    status: 'alert',
    cause: 'PostgreSQL 99 is newer than 18, the newest that was tried.',
  });
});
