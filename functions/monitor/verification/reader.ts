import type pg from 'pg';
import { connect, disconnect, type Target } from '../../../shared/postgres/connect.ts';
import { codeOf, sqlstate, translate } from '../../../shared/postgres/sqlstate.ts';
import type { Side } from '../../../shared/task/schema.ts';
import type { Bucket, HashedRow, Pair } from '../../../shared/verify/compare.ts';
import { compareBuckets } from '../../../shared/verify/compare.ts';
import {
  bucketHashes,
  columnHashesOfKeys,
  hashesOfKeys,
  type KeyRange,
  keysInOrder,
  rangeEnd,
  rowsOfBuckets,
  type Statement,
} from '../../../shared/verify/sql.ts';
import type { TwinTable } from '../../../shared/verify/tables.ts';

/** A connection to each side. Statements are short, each its own transaction: no snapshot and no lock is kept. */
export type Clients = Readonly<Record<Side, pg.Client>>;

const settings = {
  // Ranges and keys are found by index, whatever the statistics say; where there is none, the table is read.
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  max_parallel_workers_per_gather: '0',
  jit: 'off',
  work_mem: '32MB',
  lock_timeout: '5000',
  statement_timeout: '25000',
  idle_in_transaction_session_timeout: '30000',
};

export async function openClients(targets: Readonly<Record<Side, Target>>): Promise<Clients> {
  const options = { application: 'pgtwin verification', settings, queryTimeoutMs: 40_000 };
  const a = await connect(targets.a, options);
  try {
    return { a, b: await connect(targets.b, options) };
  } catch (error) {
    await disconnect(a);
    throw error;
  }
}

export const closeClients = async ({ a, b }: Clients): Promise<void> => {
  await Promise.all([disconnect(a), disconnect(b)]);
};

/** A statement took too long: less is to be asked for at a time. */
export class TooSlow extends Error {}

/** The rows of a statement as PostgreSQL printed them. */
export async function readText(client: pg.Client, { text, values }: Statement): Promise<(string | null)[][]> {
  try {
    const { rows } = await client.query({
      text,
      values: [...values],
      rowMode: 'array',
      types: { getTypeParser: () => (value: string) => value },
    });
    return rows as unknown as (string | null)[][];
  } catch (error) {
    if (codeOf(error) === sqlstate.queryCanceled)
      throw new TooSlow('a statement took too long', { cause: error });
    throw translate(error);
  }
}

const both = async <T>(read: (side: Side) => Promise<T>): Promise<Record<Side, T>> => {
  const [a, b] = await Promise.all([read('a'), read('b')]);
  return { a, b };
};

/** The end of the next range: no side has more than `rows` rows in it. Null: it is the last one. */
export async function findRangeEnd(
  clients: Clients,
  table: TwinTable,
  after: readonly string[] | null,
  rows: number,
): Promise<string[] | null> {
  const ends = await both(async (side) => {
    const [end] = await readText(clients[side], rangeEnd(table[side], after, rows));
    return (end as string[] | undefined) ?? null;
  });
  if (ends.a === null || ends.b === null) return ends.a ?? ends.b;
  const [first] = await readText(clients.a, keysInOrder(table.a, ends.a, ends.b));
  return first?.[0] === 't' ? ends.a : ends.b;
}

/** What a range holds on both sides: how many rows, how many buckets, and the rows of those buckets that differ. */
export type RangeContents = {
  readonly rows: Readonly<Record<Side, number>>;
  readonly buckets: number;
  readonly differing: number;
  readonly found: Readonly<Record<Side, readonly HashedRow[]>>;
};

export async function readRange(
  clients: Clients,
  table: TwinTable,
  range: KeyRange,
  buckets: number,
): Promise<RangeContents> {
  const hashes = await both(async (side) =>
    (await readText(clients[side], bucketHashes(table[side], range, buckets))).map(bucketOf),
  );
  const { buckets: there, differing } = compareBuckets(hashes.a, hashes.b);
  const found =
    differing.length === 0
      ? { a: [], b: [] }
      : await both(async (side) =>
          (await readText(clients[side], rowsOfBuckets(table[side], range, buckets, differing))).map(rowOf),
        );
  const sum = (list: readonly Bucket[]) => list.reduce((total, { rows }) => total + rows, 0);
  return {
    rows: { a: sum(hashes.a), b: sum(hashes.b) },
    buckets: there,
    differing: differing.length,
    found,
  };
}

const bucketOf = ([bucket, rows, hash]: (string | null)[]): Bucket => ({
  bucket: Number(bucket),
  rows: Number(rows),
  hash: hash!,
});
export const rowOf = ([match, hash, ...key]: (string | null)[]): HashedRow => ({
  match: match!,
  hash: hash!,
  key: key as string[],
});

/** Keys that one statement looks up. */
const KEYS = 500;

/** The hashes of the rows with these keys on one side, in their order; null: there is no row. */
export async function readHashes(
  clients: Clients,
  table: TwinTable,
  side: Side,
  keys: readonly (readonly string[])[],
): Promise<(string | null)[]> {
  const hashes: (string | null)[] = keys.map(() => null);
  for (let from = 0; from < keys.length; from += KEYS) {
    const rows = await readText(clients[side], hashesOfKeys(table[side], keys.slice(from, from + KEYS)));
    for (const [n, hash] of rows) hashes[from + Number(n) - 1] = hash!;
  }
  return hashes;
}

/** The same for both sides at the same time. */
export async function readPairs(
  clients: Clients,
  table: TwinTable,
  keys: readonly (readonly string[])[],
): Promise<Pair[]> {
  const hashes = await both((side) => readHashes(clients, table, side, keys));
  return keys.map((_, n) => ({ a: hashes.a[n]!, b: hashes.b[n]! }));
}

/** Columns that one key's rows differ in which are named at most. */
const COLUMNS = 20;
/** A hash per column of wide tables adds up. */
const KEYS_BY_COLUMN = 50;

/** Per key the names, on side a, of the columns in which its rows differ; empty where one side has no row. */
export async function readDifferingColumns(
  clients: Clients,
  table: TwinTable,
  keys: readonly (readonly string[])[],
): Promise<string[][]> {
  const names: string[][] = keys.map(() => []);
  for (let from = 0; from < keys.length; from += KEYS_BY_COLUMN) {
    const part = keys.slice(from, from + KEYS_BY_COLUMN);
    const rows = await both((side) => readText(clients[side], columnHashesOfKeys(table[side], part)));
    const inB = new Map(rows.b.map(([n, ...hashes]) => [n, hashes]));
    for (const [n, ...hashes] of rows.a) {
      const other = inB.get(n!);
      if (!other) continue;
      const differing = table.a.columns.filter((_, i) => hashes[i] !== other[i]).map(({ name }) => name);
      names[from + Number(n) - 1] = differing.slice(0, COLUMNS);
    }
  }
  return names;
}
