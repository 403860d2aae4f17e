import type { Side } from '../../shared/task/schema.ts';
import {
  differingTables,
  otherSide,
  resetTables,
  untilMarker,
  writeMarker,
  writeTransactions,
} from './load.ts';
import { holdSenders, type Replication } from './replication.ts';
import { alternate, type Bench } from './rounds.ts';
import { compare } from './statistics.ts';
import { cpuSeconds, difference, peakMegabytes } from './usage.ts';

type Drained = { readonly perSecond: number; readonly equal: boolean };

const ROWS = 4;

/** W1: a backlog of pgbench-like transactions on one side; W1b: one on each side, at once. */
export async function drain(bench: Bench, from: readonly Side[], transactions: number) {
  const { native, pgtwin } = await alternate(bench, (on) => drainOnce(bench, on, from, transactions));
  return {
    unit: 'transactions per second',
    transactions,
    ...compare(
      native.map((r) => r.perSecond),
      pgtwin.map((r) => r.perSecond),
      'higher',
    ),
    rowsPerTransaction: ROWS,
    equal: pgtwin.every((r) => r.equal),
    nativeEqual: native.every((r) => r.equal),
  };
}

async function drainOnce(
  { databases, scale, say, profile }: Bench,
  on: Replication,
  from: readonly Side[],
  transactions: number,
): Promise<Drained> {
  await on.attach();
  const releases = await Promise.all(from.map((side) => holdSenders(databases, side)));
  const markers = await Promise.all(
    from.map(async (side) => {
      await writeTransactions(databases[side], transactions / from.length, scale);
      return writeMarker(databases[side]);
    }),
  );
  const endProfile = await profile?.(on);
  const before = cpuSeconds(databases, on);
  const start = performance.now();
  for (const release of releases) release();
  await Promise.all(from.map((side, i) => untilMarker(databases[otherSide(side)], markers[i]!)));
  const seconds = (performance.now() - start) / 1000;
  const used = difference(before, cpuSeconds(databases, on));
  await endProfile?.();
  const differing = await quiet(databases, from);
  say(
    `  ${on.name.padEnd(7)} ${seconds.toFixed(2)} s, ${Math.round(transactions / seconds)} tx/s, ` +
      `processor ${JSON.stringify(used)}, memory ${JSON.stringify(peakMegabytes(on))}` +
      (differing.length > 0 ? `, differing: ${differing.join(', ')}` : ', equal'),
  );
  await on.detach();
  await resetTables(databases);
  return { perSecond: transactions / seconds, equal: differing.length === 0 };
}

/** Conflicts may take some exchanges more; what differs after that differs for good. */
async function quiet(databases: Bench['databases'], from: readonly Side[]): Promise<string[]> {
  let differing = await differingTables(databases);
  for (let tries = 0; tries < 5 && differing.length > 0; tries++) {
    const markers = await Promise.all(from.map((side) => writeMarker(databases[side])));
    await Promise.all(from.map((side, i) => untilMarker(databases[otherSide(side)], markers[i]!)));
    differing = await differingTables(databases);
  }
  return differing;
}
