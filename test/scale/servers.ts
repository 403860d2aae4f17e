import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type PostgresServer, startPostgres } from '../../infra/local/postgres-server.ts';

/** Two servers whose data nobody will miss, and a folder beside it; all gone when `opened` is disposed. */
export async function openServers(
  opened: AsyncDisposableStack,
  settings: Readonly<Record<string, string>>,
): Promise<{ readonly a: PostgresServer; readonly b: PostgresServer; readonly folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'pgtwin-scale-'));
  opened.defer(() => rm(folder, { recursive: true, force: true }));
  const start = async (side: string): Promise<PostgresServer> => {
    const all = { fsync: 'off', full_page_writes: 'off', ...settings };
    const server = await startPostgres({ dataDir: join(folder, side), settings: all });
    opened.defer(() => server.stop('immediate'));
    return server;
  };
  const [a, b] = await Promise.all([start('a'), start('b')]);
  return { a, b, folder };
}
