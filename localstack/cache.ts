import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { PgtwinError } from '../shared/errors/pgtwin-error.ts';

/** What is kept between starts: PGTWIN_CACHE_DIR, else ~/.cache/pgtwin. */
export const cacheFolder = (): string =>
  path.join(process.env['PGTWIN_CACHE_DIR'] || path.join(os.homedir(), '.cache', 'pgtwin'), 'localstack');

type Install = {
  /** What is installed: `python`, `dynamodb`. */
  readonly name: string;
  /** Files and facts that decide what is installed; any change installs anew. */
  readonly inputs: readonly string[];
  readonly fill: (folder: string) => Promise<void>;
};

/**
 * The folder of an installed thing, made on first use. It is filled beside its final name and renamed when complete,
 * so a folder that is there is complete, whoever was interrupted or did the same at the same time.
 */
export async function installed({ name, inputs, fill }: Install): Promise<string> {
  const hash = createHash('sha256').update(inputs.join('\0')).digest('hex').slice(0, 16);
  const folder = path.join(cacheFolder(), `${name}-${hash}`);
  if (existsSync(folder)) return folder;
  mkdirSync(cacheFolder(), { recursive: true });
  const lock = await takeLock(`${folder}.lock`, () => existsSync(folder));
  if (!lock) return folder;
  const unfinished = `${folder}.${process.pid}.tmp`;
  try {
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished);
    await fill(unfinished);
    if (!existsSync(folder)) renameSync(unfinished, folder);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
    lock.release();
  }
  return folder;
}

/** Waits until this process owns the lock file; null when `done` says that nothing is left to do. */
async function takeLock(file: string, done: () => boolean): Promise<{ release(): void } | null> {
  const giveUpAt = Date.now() + 10 * 60_000;
  for (;;) {
    if (done()) return null;
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      return { release: () => rmSync(file, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    // A lock whose owner died is removed. Two may do so at once and both install: the rename above bears it.
    if (!isAlive(Number(readText(file)))) rmSync(file, { force: true });
    if (Date.now() > giveUpAt) {
      throw new PgtwinError('internal', { detail: `another process holds ${file} for more than 10 minutes` });
    }
    await wait(200);
  }
}

/** Whether a process with this id exists. */
export function isAlive(pid: number): boolean {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
