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
  /** For clients of any kind; by TCP or unix socket, as the run has it. Holds the password of a throw-away server. */
  readonly url: string;
  /** Where it is reached: an address, or the folder of a unix socket. */
  readonly host: string;
  /** Process number of the server. */
  readonly pid: number;
  connect(): Promise<pg.Client>;
};
export type BenchDatabases = AsyncDisposable & Readonly<Record<Side, BenchDatabase>>;

/** How everything reaches the servers: pgtwin, native replication and what writes the load. */
export type Connection = 'tcp' | 'unix';

const NAME = 'bench';

/** Two servers with default settings but for `wal_level` and the numbers of slots and workers; fsync is on. */
export async function openDatabases(connection: Connection = 'tcp'): Promise<BenchDatabases> {
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
    for (const side of sides) databases.push(await openOne(side, join(folder, side), connection));
    return { a: databases[0]!, b: databases[1]!, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openOne(side: Side, dataDir: string, connection: Connection): Promise<BenchDatabase> {
  const server = await startPostgres({ dataDir });
  const first = new pg.Client(server.url);
  await first.connect();
  await first.query(/* sql */ `create database ${NAME}`).finally(() => first.end());
  const host = connection === 'tcp' ? server.host : server.socketDir;
  const at = connection === 'tcp' ? `${host}:${server.port}/${NAME}` : `:${server.port}/${NAME}?host=${host}`;
  const url = `postgres://${server.user}:${server.password}@${at}`;
  const connect = async (): Promise<pg.Client> => {
    const { user, password, port } = server;
    const client = new pg.Client({ host, port, user, password, database: NAME, application_name: 'bench' });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  };
  const pid = Number((await readFile(join(server.dataDir, 'postmaster.pid'), 'utf8')).split('\n')[0]);
  return { side, server, client: await connect(), url, host, pid, connect };
}
