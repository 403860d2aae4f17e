import type { BenchDatabases } from './databases.ts';
import { differingTables, resetTables, untilMarker, writeDisjoint, writeMarker } from './load.ts';
import { holdSenders } from './replication.ts';
import type { Bench } from './rounds.ts';
import { median, rounded } from './statistics.ts';
import { cpuSeconds, difference } from './usage.ts';

/**
 * What it costs to look for conflicts where there are none: a backlog on each side, of rows that the other does not
 * touch, applied both ways at once. Off: `decide: "each-side"`, where every row counts as seen and no version is
 * compared. On: the arbiter's way, with the same policy.
 */
export async function detection(bench: Bench, transactions: number) {
  const perSecond = { off: [] as number[], on: [] as number[] };
  const conflicts: number[] = [];
  // The first of each warms up.
  for (let round = -1; round < bench.rounds; round++)
    for (const how of round % 2 === 0 ? (['off', 'on'] as const) : (['on', 'off'] as const)) {
      const measured = await once(bench, how, transactions);
      if (round < 0) continue;
      perSecond[how].push(measured.perSecond);
      if (how === 'on') conflicts.push(measured.conflicts);
    }
  const cost = perSecond.on.map((value, i) => 1 - value / perSecond.off[i]!);
  return {
    unit: 'transactions per second',
    transactions,
    off: rounded(median(perSecond.off)),
    on: rounded(median(perSecond.on)),
    /** Of the throughput with detection off. */
    costPercent: rounded(100 * median(cost)),
    costSpread: [rounded(100 * Math.min(...cost)), rounded(100 * Math.max(...cost))],
    conflicts: Math.max(...conflicts),
  };
}

async function once({ databases, twin, scale, say }: Bench, how: 'off' | 'on', transactions: number) {
  await twin.attach({ conflictPolicy: 'overwrite', decide: how === 'on' ? 'arbiter' : 'each-side' });
  const sides = ['a', 'b'] as const;
  const releases = await Promise.all(sides.map((side) => holdSenders(databases, side)));
  const markers = await Promise.all(
    sides.map(async (side) => {
      await writeDisjoint(databases[side], transactions / 2, scale);
      return writeMarker(databases[side]);
    }),
  );
  const before = cpuSeconds(databases, twin);
  const start = performance.now();
  for (const release of releases) release();
  await Promise.all([untilMarker(databases.b, markers[0]!), untilMarker(databases.a, markers[1]!)]);
  const seconds = (performance.now() - start) / 1000;
  const used = difference(before, cpuSeconds(databases, twin));
  const conflicts = await countConflicts(databases);
  const differing = await differingTables(databases);
  if (differing.length > 0) throw new Error(`Tables differ: ${differing.join(', ')}.`);
  say(
    `  ${how.padEnd(3)} ${seconds.toFixed(2)} s, ${Math.round(transactions / seconds)} tx/s, conflicts ${conflicts}, ` +
      `processor ${JSON.stringify(used)}`,
  );
  await twin.detach();
  await resetTables(databases);
  return { perSecond: transactions / seconds, conflicts };
}

async function countConflicts({ a, b }: BenchDatabases): Promise<number> {
  const counts = await Promise.all(
    [a, b].map(async ({ client }) => {
      const { rows } = await client.query<{ n: number }>(
        /* sql */ `select count(*)::int as n from pgtwin.conflict`,
      );
      return rows[0]!.n;
    }),
  );
  return counts[0]! + counts[1]!;
}
