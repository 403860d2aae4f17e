import { setTimeout as wait } from 'node:timers/promises';
import { isAlive } from './cache.ts';
import { ask } from './command.ts';

type Target = { readonly pid: number; readonly command: string; readonly graceMs: number };

/**
 * Ends a process and everything below it: asks first, kills what is still there after the grace time. Does nothing
 * if the process is gone, or if another program has its id now.
 */
export async function endProcess({ pid, command, graceMs }: Target): Promise<void> {
  if (!isSame(pid, command)) return;
  // Listed before the end: afterwards they belong to process 1 and can no longer be told apart.
  const all = [pid, ...descendants(pid)];
  signal(pid, 'SIGTERM');
  const giveUpAt = Date.now() + graceMs;
  while (isSame(pid, command) && Date.now() < giveUpAt) await wait(50);
  for (const each of all) if (each !== pid || isSame(pid, command)) signal(each, 'SIGKILL');
  while (all.some(isRunning) && Date.now() < giveUpAt + 2000) await wait(20);
}

/** Whether this process still runs this very command. */
export const isSame = (pid: number, command: string): boolean =>
  pid > 0 && command !== '' && ask('ps', ['-o', 'command=', '-p', String(pid)]) === command;

/** The processes below this one, at any depth. */
export function descendants(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const line of (ask('ps', ['-A', '-o', 'pid=,ppid=']) ?? '').split('\n')) {
    const [pid = 0, parent = 0] = line.trim().split(/\s+/).map(Number);
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const below = (pid: number): number[] =>
    (children.get(pid) ?? []).flatMap((child) => [child, ...below(child)]);
  return below(root);
}

/** Alive and not a zombie that only waits to be reaped. */
export const isRunning = (pid: number): boolean =>
  isAlive(pid) && !(ask('ps', ['-o', 'stat=', '-p', String(pid)]) ?? 'Z').startsWith('Z');

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // it ended by itself
  }
}
