import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Grown } from './growth.ts';
import { plot } from './plot.ts';

type Loaded = {
  readonly perSecond: number;
  readonly p50Ms: number | null;
  readonly p99Ms?: number | undefined;
  readonly nativeP50Ms: number | null;
  readonly nativeP99Ms?: number | undefined;
};

/** Writes what can be drawn of the figures: growth as throughput, load as latency. */
export async function writePlots(folder: string, figures: Readonly<Record<string, object>>): Promise<void> {
  await mkdir(folder, { recursive: true });
  const growth = (figures['growth'] ?? {}) as Readonly<Record<string, readonly Grown[]>>;
  for (const [name, all] of Object.entries(growth)) {
    const points = all.map((each) => ({ x: each[name as keyof Grown], y: each.rowsPerSecond }));
    const title = `Backlog of inserts drained, by ${titles[name] ?? name}`;
    const svg = plot({
      title,
      x: titles[name] ?? name,
      y: 'rows per second',
      lines: [{ name: 'pgtwin', points }],
    });
    await writeFile(join(folder, `growth-${name}.svg`), svg);
  }
  const loads = Object.values(figures['load'] ?? {}) as readonly Loaded[];
  if (loads.length === 0) return;
  const line = (name: string, of: (at: Loaded) => number | null | undefined) => ({
    name,
    points: loads.flatMap((at) => {
      const y = of(at);
      return typeof y === 'number' ? [{ x: at.perSecond, y }] : [];
    }),
  });
  const lines = [
    line('pgtwin p99', (at) => at.p99Ms),
    line('pgtwin p50', (at) => at.p50Ms),
    line('native p99', (at) => at.nativeP99Ms),
    line('native p50', (at) => at.nativeP50Ms),
  ].filter(({ points }) => points.length > 0);
  const title = 'From commit to visible, by load';
  const svg = plot({ title, x: 'transactions per second', y: 'milliseconds', lines });
  await writeFile(join(folder, 'latency.svg'), svg);
}

const titles: Readonly<Record<string, string>> = {
  rows: 'rows in the backlog',
  tables: 'tables',
  rowBytes: 'bytes per row',
  perTransaction: 'rows per transaction',
};
