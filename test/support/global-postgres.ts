import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { type PostgresServer, startPostgres } from '../../infra/local/postgres-server.ts';

/** What a test needs to know of a server to connect to it. */
export type TestServer = Pick<
  PostgresServer,
  'url' | 'host' | 'port' | 'socketDir' | 'user' | 'password' | 'version' | 'major'
>;

declare module 'vitest' {
  export interface ProvidedContext {
    postgres: { readonly a: TestServer; readonly b: TestServer };
  }
}

/** Nobody will miss this data: no flush to disk. Everything that a test may use up is plentiful. */
const settings = {
  fsync: 'off',
  full_page_writes: 'off',
  max_replication_slots: '400',
  max_wal_senders: '200',
  max_prepared_transactions: '20',
};

/**
 * Two servers for all tests of a run, each with a system id of its own (initdb takes half a second, so there is no
 * template to copy). `PGTWIN_TEST_PG_BIN`, or `_A` and `_B` apart, name folders of binaries of other versions.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'pgtwin-tests-'));
  await chmod(folder, 0o755);
  const start = (side: 'a' | 'b'): Promise<PostgresServer> => {
    const named =
      process.env[`PGTWIN_TEST_PG_BIN_${side.toUpperCase()}`] || process.env['PGTWIN_TEST_PG_BIN'];
    return startPostgres({ binDir: named || undefined, dataDir: join(folder, side), settings });
  };
  const [a, b] = await Promise.all([start('a'), start('b')]);
  project.provide('postgres', { a: facts(a), b: facts(b) });
  return async () => {
    await Promise.all([a.stop('immediate'), b.stop('immediate')]);
    await rm(folder, { recursive: true, force: true });
  };
}

/** Only data can be handed to the test workers. */
const facts = ({
  url,
  host,
  port,
  socketDir,
  user,
  password,
  version,
  major,
}: PostgresServer): TestServer => ({
  url,
  host,
  port,
  socketDir,
  user,
  password,
  version,
  major,
});
