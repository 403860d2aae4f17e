import { translate } from '../../../shared/postgres/sqlstate.ts';
import type { Side } from '../../../shared/task/schema.ts';
import {
  bucketsFor,
  type Candidate,
  candidate,
  compareRows,
  nextRangeRows,
  sampledPages,
} from '../../../shared/verify/compare.ts';
import type { Progress, Verification } from '../../../shared/verify/model.ts';
import { heapsSql, rowsOfPages } from '../../../shared/verify/sql.ts';
import type { TwinTable } from '../../../shared/verify/tables.ts';
import type { Bench } from './bench.ts';
import { findRangeEnd, readHashes, readRange, readText, rowOf, TooSlow } from './reader.ts';

/** Rows of a range. Where a range reads the whole table, few large ones are cheaper. */
const RANGE = { least: 1, most: 20_000 };
const WHOLE_TABLE_RANGE = { least: 50_000, most: 50_000 };

/** What a part of a table came to. */
export type Compared = {
  readonly rows: Readonly<Record<Side, number>>;
  readonly buckets: number;
  readonly differing: number;
  readonly candidates: readonly Candidate[];
  /** Where the next part begins. */
  readonly next: Pick<Progress, 'after' | 'rangeRows' | 'sample' | 'compared'>;
};

/** Compares the next range of keys, or of a sample the next run of pages. */
export async function compareNext(bench: Bench, table: TwinTable, run: Verification): Promise<Compared> {
  return run.options.mode === 'full'
    ? compareRange(bench, table, run.progress)
    : comparePages(bench, table, run);
}

async function compareRange(bench: Bench, table: TwinTable, progress: Progress): Promise<Compared> {
  const { clients, time } = bench;
  const { after } = progress;
  const limits = table.a.native.every(Boolean) ? RANGE : WHOLE_TABLE_RANGE;
  for (let rows = Math.max(limits.least, progress.rangeRows); ; rows = Math.max(1, rows >> 2)) {
    const started = time.now();
    try {
      const upTo = await findRangeEnd(clients, table, after, rows);
      const read = await readRange(clients, table, { after, upTo }, bucketsFor(rows));
      const rangeRows = nextRangeRows(rows, time.now() - started, limits);
      return {
        rows: read.rows,
        buckets: read.buckets,
        differing: read.differing,
        candidates: compareRows(read.found.a, read.found.b),
        next: { ...progress, after: upTo, rangeRows, compared: upTo === null },
      };
    } catch (error) {
      if (!(error instanceof TooSlow)) throw error;
      if (rows === 1 || bench.timeIsUp) throw translate(error.cause);
    }
  }
}

/**
 * Of each stretch of side a's pages one run is read, and its rows looked up on side b; then the same from side b, for
 * rows that only it has.
 */
async function comparePages(bench: Bench, table: TwinTable, run: Verification): Promise<Compared> {
  const { sample } = run.progress;
  const { side } = sample;
  const heaps = await readText(bench.clients[side], { text: heapsSql, values: [table[side].sql] });
  const nothing = { rows: { a: 0, b: 0 }, buckets: 0, differing: 0, candidates: [] };
  const found = heaps[sample.heap];
  if (!found) {
    const next = { side: 'b', heap: 0, stretch: 0 } as const;
    return { ...nothing, next: { ...run.progress, sample: next, compared: side === 'b' } };
  }
  const [schema, name, size] = found as [string, string, string];
  const seed = Number.parseInt(run.id.slice(-6), 16) + sample.heap;
  const pages = sampledPages(Number(size), run.options.samplePercent, seed, sample.stretch);
  if (!pages)
    return { ...nothing, next: { ...run.progress, sample: { side, heap: sample.heap + 1, stretch: 0 } } };
  const other = side === 'a' ? 'b' : 'a';
  const rows = (await readText(bench.clients[side], rowsOfPages(table[side], { schema, name }, pages))).map(
    rowOf,
  );
  const hashes = await readHashes(
    bench.clients,
    table,
    other,
    rows.map(({ key }) => key),
  );
  const candidates = rows.flatMap(({ key, hash }, n) => {
    const there = hashes[n]!;
    if (side === 'a') return there === hash ? [] : [candidate(key, { a: hash, b: there })];
    // Rows that both have were looked at from side a.
    return there === null ? [candidate(key, { a: null, b: hash })] : [];
  });
  const there = hashes.filter((hash) => hash !== null).length;
  return {
    rows: side === 'a' ? { a: rows.length, b: there } : { a: there, b: rows.length },
    buckets: 1,
    differing: candidates.length > 0 ? 1 : 0,
    candidates,
    next: { ...run.progress, sample: { ...sample, stretch: sample.stretch + 1 } },
  };
}
