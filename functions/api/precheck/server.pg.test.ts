import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect, inject, test } from 'vitest';
import { type PostgresServer, startPostgres } from '../../../infra/local/postgres-server.ts';
import { openDatabase, type TestDatabase } from '../../../test/support/database.ts';
import { applyFix, checkItem } from '../../../test/support/precheck.ts';

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
