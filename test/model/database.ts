import type { SourceChange } from '../../shared/conflict/net.ts';
import type { Row, Side, Table } from '../../shared/conflict/rows.ts';
import { nothingSeen, type Seen, seenText } from '../../shared/conflict/seen.ts';
import { noXids, type XidRanges } from '../../shared/conflict/xid-ranges.ts';

/** Columns of the model's one table. All but the key and the counter may be TOASTed. `p` refers to a key, where there are foreign keys. */
export const columns = { id: 0, x: 1, y: 2, n: 3, u: 4, v: 5, p: 6 } as const;
export const table: Table = {
  name: 'item',
  columns: Object.keys(columns).slice(0, columns.p),
  key: [columns.id],
  uniques: [
    { columns: [columns.u], nullsEqual: false },
    { columns: [columns.v], nullsEqual: false },
  ],
};

/** The same with a foreign key to itself. */
export const referringTable: Table = { ...table, columns: Object.keys(columns) };

/** A row version: its values, its 32-bit xmin, its commit time and who made it. */
export type Version = {
  readonly row: Row;
  readonly xmin: number;
  readonly time: bigint;
  readonly side: Side;
};

/** A change in the WAL; control rows are changes too. */
export type WalChange = SourceChange & { readonly id?: string };

/** One committed transaction in the WAL. `progress` are the head rows of an apply transaction. */
export type WalEntry = {
  readonly kind: 'local' | 'applied' | 'heartbeat';
  readonly xid: bigint;
  readonly commit: bigint;
  readonly changes: readonly WalChange[];
  readonly progress?: readonly (readonly [shard: number, seen: string])[];
  readonly floor?: bigint;
  readonly next?: bigint;
};

/** One of the two databases, with what pgtwin's schema holds there. What apply may roll back is in `State`. */
export type Database = {
  readonly side: Side;
  readonly wal: WalEntry[];
  nextXid: bigint;
  clock: bigint;
  /** Transactions that began and have not ended: they hold the floor down. */
  running: bigint[];
  state: State;
};

export type OpenPull = { readonly id: string; readonly met: readonly number[]; readonly skipped: boolean };

export type State = {
  readonly rows: Map<string, Version>;
  /** Arbiter: per key, the newest own transaction that published an outcome or a pull of it. */
  readonly open: Map<string, bigint>;
  /** Follower: the open pull of a key, and the xmins of the rows that were in its way. */
  readonly pulls: Map<string, OpenPull>;
  readonly tombstones: Map<string, bigint>;
  /** The progress rows, by shard: the last position applied, and what this side has seen of the other. */
  readonly watermarks: number[];
  readonly progress: string[];
  /** By shard: the newest floor of this side that an author had seen. */
  readonly floors: bigint[];
  own: XidRanges;
};

export const openDatabase = (side: Side, nextXid: bigint, clock: bigint, shards: number): Database => ({
  side,
  wal: [],
  nextXid,
  clock,
  running: [],
  state: {
    rows: new Map(),
    open: new Map(),
    pulls: new Map(),
    tombstones: new Map(),
    watermarks: Array<number>(shards).fill(-1),
    progress: Array<string>(shards).fill(seenText(nothingSeen)),
    floors: Array<bigint>(shards).fill(0n),
    own: noXids,
  },
});

/** What a rollback goes back to. */
export const snapshotOf = (state: State): State => ({
  ...state,
  rows: new Map(state.rows),
  watermarks: [...state.watermarks],
  progress: [...state.progress],
  floors: [...state.floors],
  open: new Map(state.open),
  pulls: new Map(state.pulls),
  tombstones: new Map(state.tombstones),
});

/** Where a key's rows go. */
export const shardOf = (key: string, shards: number): number => Number(key.slice(1)) % shards;

/** A new transaction id. */
export const beginXid = (database: Database): bigint => database.nextXid++;

export const xid32 = (xid: bigint): number => Number(BigInt.asUintN(32, xid));

/** The key of another row with this value in a unique column, as an index would find it. */
export const ownerOf = (state: State, column: number, value: unknown, but: string): string | undefined => {
  if (value === null || value === undefined) return undefined;
  for (const [key, version] of state.rows) if (key !== but && version.row[column] === value) return key;
  return undefined;
};

/** Writes a version as a table would take it: a duplicate is an error of the code under test. */
export const writeRow = (state: State, version: Version): void => {
  const key = version.row[columns.id] as string;
  for (const {
    columns: [column],
  } of table.uniques) {
    const owner = ownerOf(state, column!, version.row[column!], key);
    if (owner !== undefined) throw new UniqueViolation(`row ${key} collides with row ${owner}`);
  }
  if (version.row.includes(undefined))
    throw new Error(`row ${key} is written with a value that was not sent`);
  state.rows.set(key, version);
};

/** SQLSTATE 23505. */
export class UniqueViolation extends Error {}

export const initialSeen = (other: Database): Seen => ({
  ...nothingSeen,
  floor: other.nextXid,
  next: other.nextXid,
});
