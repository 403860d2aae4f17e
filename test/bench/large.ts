import { differingTables, resetTables, untilMarker, writeMarker } from './load.ts';
import type { Replication } from './replication.ts';
import { alternate, type Bench } from './rounds.ts';
import { compare } from './statistics.ts';
import { cpuSeconds, difference, peakMegabytes } from './usage.ts';

/** W2: one transaction of many rows, from its commit until it is visible. */
export async function large(bench: Bench, rows: number) {
  const { native, pgtwin } = await alternate(bench, (on) => largeOnce(bench, on, rows));
  return { unit: 'seconds from commit to visible', rows, ...compare(native, pgtwin, 'lower') };
}

async function largeOnce({ databases, say, profile }: Bench, on: Replication, rows: number): Promise<number> {
  const { a, b } = databases;
  await on.attach();
  await a.client.query('begin');
  await a.client.query(
    /* sql */ `insert into bench.large select g, g, 'row number ' || g from generate_series(1, $1::int) g`,
    [rows],
  );
  const endProfile = await profile?.(on);
  const before = cpuSeconds(databases, on);
  const start = performance.now();
  await a.client.query('commit');
  await untilMarker(b, await writeMarker(a));
  const seconds = (performance.now() - start) / 1000;
  const used = difference(before, cpuSeconds(databases, on));
  await endProfile?.();
  const differing = await differingTables(databases);
  say(
    `  ${on.name.padEnd(7)} ${seconds.toFixed(2)} s, processor ${JSON.stringify(used)}, memory ${JSON.stringify(peakMegabytes(on))}` +
      (differing.length > 0 ? `, differing: ${differing.join(', ')}` : ', equal'),
  );
  await on.detach();
  await resetTables(databases);
  return seconds;
}
