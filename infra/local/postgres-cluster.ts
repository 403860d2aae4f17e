import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { appendFile, chown, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { PostgresBinaries, ServerUser } from './postgres-binaries.ts';

const run = promisify(execFile);

/** What a data folder remembers of itself between starts; readable by its owner only. */
export type ClusterFacts = {
  readonly user: string;
  readonly password: string;
  readonly port?: number;
  /** Process number of whoever started the server last. */
  readonly owner?: number;
};
const factsFile = (dataDir: string): string => join(dataDir, 'pgtwin.json');

/**
 * Makes a data folder: UTF8, C.UTF-8, checksums, scram with a random password for the superuser `postgres`.
 * `sync: false` spares the flush to disk, for data that nobody will miss.
 */
export async function initCluster(
  binaries: PostgresBinaries,
  dataDir: string,
  { sync = true }: { readonly sync?: boolean } = {},
): Promise<void> {
  await ownFolder(dataDir, binaries.user);
  const password = randomBytes(18).toString('base64url');
  const secrets = await mkdtemp(join(tmpdir(), 'pgtwin-init-'));
  const passwordFile = join(secrets, 'password');
  try {
    await writeFile(passwordFile, password, { mode: 0o600 });
    if (binaries.user) {
      await chown(passwordFile, binaries.user.uid, binaries.user.gid);
      await chown(secrets, binaries.user.uid, binaries.user.gid);
    }
    await runInitdb(binaries, [
      `--pgdata=${dataDir}`,
      '--username=postgres',
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--data-checksums',
      '--no-instructions',
      ...(sync ? [] : ['--no-sync']),
    ]);
  } finally {
    await rm(secrets, { recursive: true, force: true });
  }
  await appendFile(join(dataDir, 'postgresql.conf'), "\ninclude_if_exists = 'pgtwin.conf'\n");
  await writeFacts(dataDir, { user: 'postgres', password }, binaries.user);
}

/** Systems without the locale C.UTF-8 (macOS) get C, with the builtin provider's C.UTF-8 where there is one (17). */
async function runInitdb({ binDir, user, major }: PostgresBinaries, options: string[]): Promise<void> {
  const builtin = major >= 17 ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8'] : [];
  const env = { PATH: process.env['PATH'], LC_ALL: 'C' };
  const initdb = (locale: readonly string[]) =>
    run(join(binDir, 'initdb'), [...options, ...locale], { ...user, cwd: '/', env });
  try {
    await initdb(['--locale=C.UTF-8']).catch((error: { stderr?: string }) => {
      if (!/invalid locale/i.test(error.stderr ?? '')) throw error;
      return initdb(['--locale=C', ...builtin]);
    });
  } catch (cause) {
    const said = (cause as { stderr?: string }).stderr?.trim().split('\n').at(-1) ?? '';
    throw new PgtwinError('local-server-failed', { detail: `initdb failed: ${said}` }, { cause });
  }
}

export async function readFacts(dataDir: string): Promise<ClusterFacts> {
  return JSON.parse(await readFile(factsFile(dataDir), 'utf8')) as ClusterFacts;
}

export async function writeFacts(dataDir: string, facts: ClusterFacts, user: ServerUser): Promise<void> {
  await writeFile(factsFile(dataDir), JSON.stringify(facts), { mode: 0o600 });
  if (user) await chown(factsFile(dataDir), user.uid, user.gid);
}

/** Settings go into a file and not to the command line, so that ALTER SYSTEM still has the last word. */
export async function writeSettings(dataDir: string, settings: Record<string, string>): Promise<void> {
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'`);
  await writeFile(join(dataDir, 'pgtwin.conf'), `${lines.join('\n')}\n`, { mode: 0o644 });
}

export const hasCluster = (dataDir: string): boolean => existsSync(join(dataDir, 'PG_VERSION'));

/** Makes the folder if need be and gives it to the server's user, with the mode that PostgreSQL insists on. */
export async function ownFolder(folder: string, user: ServerUser): Promise<void> {
  await mkdir(dirname(folder), { recursive: true, mode: 0o755 });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (user) await chown(folder, user.uid, user.gid);
}

/**
 * Where the data of `wanted` really lives. A server that runs as another user can't enter a folder below a closed
 * one (/root): its data then stands in /var/lib/pgtwin, under a name that the same `wanted` always leads to.
 */
export async function reachableDataDir(wanted: string, user: ServerUser): Promise<string> {
  const path = resolve(wanted);
  if (!user) return path;
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder)) {
    const found = await stat(folder).catch(() => undefined);
    const open = !found || found.uid === user.uid || (found.mode & 0o001) !== 0;
    if (!open) return join('/var/lib/pgtwin', createHash('sha256').update(path).digest('hex').slice(0, 16));
  }
  return path;
}
