import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { Target } from '../../shared/postgres/connect.ts';
import { type Side, sides } from '../../shared/task/schema.ts';
import { type PostgresServer, startPostgres } from '../local/postgres-server.ts';

export type DemoDatabase = {
  readonly side: Side;
  readonly version: string;
  readonly target: Target;
  /** With the password of this throwaway server. */
  readonly url: string;
};
export type DemoDatabases = AsyncDisposable & {
  readonly folder: string;
  readonly a: DemoDatabase;
  readonly b: DemoDatabase;
};

const NAME = 'shop';
/** Room for the large transaction; as durable as any server is by default. */
const settings = { shared_buffers: '256MB', max_wal_size: '4GB', checkpoint_timeout: '15min' };

/** Two servers in a folder of their own, each with a database `shop`. Everything is gone afterwards. */
export async function openDatabases(): Promise<DemoDatabases> {
  const folder = await mkdtemp(join(tmpdir(), 'pgtwin-demo-'));
  // The servers may run as another user, who has to get through.
  await chmod(folder, 0o755);
  const servers: PostgresServer[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop('immediate')));
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const started = await Promise.allSettled(
      sides.map((side) => startPostgres({ dataDir: join(folder, side), settings })),
    );
    for (const each of started) if (each.status === 'fulfilled') servers.push(each.value);
    for (const each of started) if (each.status === 'rejected') throw each.reason;
    const [a, b] = await Promise.all(servers.map((server, n) => makeDatabase(server, sides[n]!)));
    return { folder, a: a!, b: b!, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function makeDatabase(server: PostgresServer, side: Side): Promise<DemoDatabase> {
  const client = new pg.Client(server.url);
  await client.connect();
  await client.query(/* sql */ `create database ${NAME}`).finally(() => client.end());
  const { host, port, user, password, version } = server;
  const target: Target = { host, port, user, password, database: NAME, tls: 'disable' };
  return { side, version, target, url: `postgres://${user}:${password}@${host}:${port}/${NAME}` };
}

/** A connection of the demo's own. When the servers stop at the end, that is no error. */
export async function openClient({ url }: DemoDatabase, application = 'demo'): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: application });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
