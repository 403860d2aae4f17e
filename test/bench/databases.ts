import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type PostgresServer, startPostgres } from '../../infra/local/postgres-server.ts';
import { type Side, sides } from '../../shared/task/schema.ts';

/** One of the two databases under test, with a connection of the benchmark's own. */
export type BenchDatabase = {
  readonly side: Side;
  readonly server: PostgresServer;
  readonly client: pg.Client;
  /** For clients of any kind; over TCP. Holds the password of a throw-away server. */
  readonly url: string;
  /** Process number of the server. */
  readonly pid: number;
  connect(): Promise<pg.Client>;
};
export type BenchDatabases = AsyncDisposable & Readonly<Record<Side, BenchDatabase>>;

const NAME = 'bench';

/** Two servers with default settings but for `wal_level` and the numbers of slots and workers; fsync is on. */
export async function openDatabases(
  settings: Readonly<Record<string, string>> = {},
): Promise<BenchDatabases> {
  const folder = await mkdtemp(join(tmpdir(), 'pgtwin-bench-'));
  await chmod(folder, 0o755);
  const databases: BenchDatabase[] = [];
  const close = async (): Promise<void> => {
    for (const { client, server } of databases) {
      await client.end().catch(() => undefined);
      await server.stop('immediate');
    }
    await rm(folder, { recursive: true, force: true });
  };
  try {
    for (const side of sides) databases.push(await openOne(side, join(folder, side), settings));
    return { a: databases[0]!, b: databases[1]!, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openOne(
  side: Side,
  dataDir: string,
  settings: Record<string, string>,
): Promise<BenchDatabase> {
  const server = await startPostgres({ dataDir, settings });
  const first = new pg.Client(server.url);
  await first.connect();
  await first.query(/* sql */ `create database ${NAME}`).finally(() => first.end());
  const url = `postgres://${server.user}:${server.password}@${server.host}:${server.port}/${NAME}`;
  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: url, application_name: 'bench' });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  };
  const pid = Number((await readFile(join(server.dataDir, 'postmaster.pid'), 'utf8')).split('\n')[0]);
  return { side, server, client: await connect(), url, pid, connect };
}
