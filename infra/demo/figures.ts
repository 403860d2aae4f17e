import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import { type Side, sides } from '../../shared/task/schema.ts';
import { type LatencyProbe, percentile } from './latency.ts';
import { milliseconds, number, type Screen } from './screen.ts';
import type { Written } from './workload.ts';

/** What has been applied on one side so far, as its own progress row says. */
export type Applied = { readonly rows: number; readonly conflicts: number };

export async function readApplied(client: pg.Client): Promise<Applied> {
  const { rows } = await client.query<{ rows: string; conflicts: string }>(/* sql */ `
    select coalesce(sum(changes), 0) as rows, coalesce(sum(conflicts), 0) as conflicts from pgtwin.apply_progress`);
  return { rows: Number(rows[0]?.rows), conflicts: Number(rows[0]?.conflicts) };
}

const head = ['', 'written a', 'written b', 'a -> b', 'b -> a', 'latency p50', 'p99', 'conflicts'];
const widths = [5, 10, 10, 10, 10, 12, 10, 10];
const line = (cells: readonly string[]): string =>
  `  ${cells.map((cell, n) => cell.padStart(widths[n] ?? 0)).join('')}`;

/** A line of figures every second until the signal: rows a second written and arrived, latency, conflicts. */
export async function showFigures(options: {
  readonly screen: Screen;
  readonly clients: Readonly<Record<Side, pg.Client>>;
  readonly written: Readonly<Record<Side, Written>>;
  readonly probes: readonly LatencyProbe[];
  readonly signal: AbortSignal;
}): Promise<void> {
  const { screen, clients, written, probes, signal } = options;
  screen.say(line(head));
  screen.say(line(['', 'rows/s', 'rows/s', 'rows/s', 'rows/s', '', '', '']));
  const read = async () => ({
    at: performance.now(),
    applied: await Promise.all(sides.map((side) => readApplied(clients[side]))),
    written: sides.map((side) => written[side].rows),
  });
  const start = performance.now();
  for (let before = await read(); ; ) {
    await pause(1000, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    const now = await read();
    const seconds = (now.at - before.at) / 1000;
    const rate = (value: number | undefined, was: number | undefined) =>
      number(((value ?? 0) - (was ?? 0)) / seconds);
    const recent = probes.flatMap((probe) => probe.recent);
    const [inA, inB] = now.applied;
    screen.say(
      line([
        `${Math.round((now.at - start) / 1000)} s`,
        rate(now.written[0], before.written[0]),
        rate(now.written[1], before.written[1]),
        rate(inB?.rows, before.applied[1]?.rows),
        rate(inA?.rows, before.applied[0]?.rows),
        milliseconds(percentile(recent, 0.5)),
        milliseconds(percentile(recent, 0.99)),
        number((inA?.conflicts ?? 0) + (inB?.conflicts ?? 0)),
      ]),
    );
    before = now;
  }
}
