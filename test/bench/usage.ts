import { readdirSync, readFileSync } from 'node:fs';
import type { BenchDatabases } from './databases.ts';
import type { Replication } from './replication.ts';

const TICKS_PER_SECOND = 100;

/** What the parts have used of the processor so far, in seconds (Linux only: elsewhere nothing is known). */
export function cpuSeconds(databases: BenchDatabases, replication: Replication): Record<string, number> {
  const used: Record<string, number> = {};
  try {
    for (const [name, pid] of Object.entries(replication.processes())) used[name] = timesOf(pid).own;
    for (const side of ['a', 'b'] as const) {
      const { pid } = databases[side];
      used[`server ${side}`] = timesOf(pid).own + timesOf(pid).children + childrenOf(pid);
    }
  } catch {
    return {};
  }
  return used;
}

export const difference = (
  before: Record<string, number>,
  after: Record<string, number>,
): Record<string, number> =>
  Object.fromEntries(
    Object.entries(after).map(([name, value]) => [name, Number((value - (before[name] ?? 0)).toFixed(2))]),
  );

/** The most memory that each part has held so far, in MB (Linux only). */
export function peakMegabytes(replication: Replication): Record<string, number> {
  const peaks: Record<string, number> = {};
  for (const [name, pid] of Object.entries(replication.processes()))
    try {
      const kilobytes = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
      peaks[name] = Math.round(Number(kilobytes) / 1024);
    } catch {
      return {};
    }
  return peaks;
}

function timesOf(pid: number): { parent: number; own: number; children: number } {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // Behind the name, which may hold anything: state, parent, ... utime, stime, cutime, cstime (proc(5)).
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const seconds = (index: number) => fields[index]! / TICKS_PER_SECOND;
  return { parent: fields[1]!, own: seconds(11) + seconds(12), children: seconds(13) + seconds(14) };
}

function childrenOf(parent: number): number {
  let sum = 0;
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const times = timesOf(Number(entry));
      if (times.parent === parent) sum += times.own;
    } catch {
      // It has ended meanwhile.
    }
  }
  return sum;
}
