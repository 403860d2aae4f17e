import { randomInt } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Side } from '../../shared/task/schema.ts';
import { type DemoDatabases, openClient } from './databases.ts';
import { largeSql, type Operation, operations, type Writer } from './operations.ts';
import type { Counts } from './schema.ts';

export const WRITERS = 3;
/** Of one writer, at the most. */
const TRANSACTIONS_PER_SECOND = 40;
/** Deadlock, and serialization failure: written again, as an application does. */
const tryAgain = new Set(['40P01', '40001']);

export type Written = { transactions: number; rows: number; repeated: number };
export type Workload = {
  /** What was committed so far, by side. */
  readonly written: Readonly<Record<Side, Written>>;
  /** Resolves when the time is over and every writer has ended; rejects with what a writer met. */
  readonly ended: Promise<void>;
  /** From the start to the last commit. */
  seconds(): number;
};

/** Several connections write on each side at the same time, and one of them once a large transaction. */
export function startWorkload(options: {
  readonly databases: DemoDatabases;
  readonly counts: Counts;
  readonly seconds: number;
  readonly largeRows: number;
  readonly signal: AbortSignal;
}): Workload {
  const { seconds, signal } = options;
  const written: Record<Side, Written> = {
    a: { transactions: 0, rows: 0, repeated: 0 },
    b: { transactions: 0, rows: 0, repeated: 0 },
  };
  const started = performance.now();
  const until = started + seconds * 1000;
  let last = started;
  const writers = (['a', 'b'] as const).flatMap((side) =>
    Array.from({ length: WRITERS }, () => runWriter({ ...options, side, until, written: written[side] })),
  );
  const large = pause(seconds * 250, undefined, { signal }).then(() =>
    writeLarge(options.databases, options.largeRows, written.a),
  );
  const ended = allEnded([...writers, large]).finally(() => {
    last = performance.now();
  });
  return { written, ended, seconds: () => (last - started) / 1000 };
}

/** Rejects with the first failure, but not before all have ended: none uses a connection that is closed by then. */
export async function allEnded(work: readonly Promise<unknown>[]): Promise<void> {
  for (const each of await Promise.allSettled(work)) if (each.status === 'rejected') throw each.reason;
}

async function runWriter(options: {
  readonly databases: DemoDatabases;
  readonly counts: Counts;
  readonly side: Side;
  readonly until: number;
  readonly written: Written;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { databases, counts, side, until, written, signal } = options;
  const client = await openClient(databases[side], 'demo application');
  try {
    const name = `${side}${randomInt(1_000_000_000)}`;
    let texts = 0;
    const writer: Writer = {
      ...{ client, counts, parity: side === 'a' ? 1 : 0, documents: [], typed: [] },
      random: (below) => (below > 0 ? randomInt(below) : 0),
      fresh: () => `${name}-${++texts}`,
    };
    const everyMs = 1000 / TRANSACTIONS_PER_SECOND;
    for (let next = performance.now(); performance.now() < until && !signal.aborted; next += everyMs) {
      await writeOnce(writer, choose(writer), written);
      const waitMs = next + everyMs - performance.now();
      if (waitMs > 0) await pause(waitMs);
      else next = performance.now();
    }
  } finally {
    await client.end();
  }
}

async function writeOnce(writer: Writer, operation: Operation, written: Written): Promise<void> {
  const { client } = writer;
  try {
    await client.query('begin');
    const rows = await operation.run(writer);
    await client.query('commit');
    written.rows += rows;
    written.transactions += 1;
  } catch (error) {
    await client.query('rollback');
    if (!tryAgain.has((error as { code?: string }).code ?? '')) throw error;
    written.repeated += 1;
  }
}

const weights = operations.reduce((sum, { weight }) => sum + weight, 0);

function choose({ random }: Writer): Operation {
  let left = random(weights);
  return operations.find(({ weight }) => {
    left -= weight;
    return left < 0;
  })!;
}

async function writeLarge(databases: DemoDatabases, rows: number, written: Written): Promise<void> {
  const client = await openClient(databases.a, 'demo application');
  try {
    const { rowCount } = await client.query(largeSql, [rows]);
    written.rows += rowCount ?? 0;
    written.transactions += 1;
  } finally {
    await client.end();
  }
}
