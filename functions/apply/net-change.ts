import { mark, tag, u32 } from '../../shared/postgres/pgoutput.ts';
import type { DecodedChanges } from '../../shared/stream/decode.ts';
import type { ApplyTable } from './tables.ts';

/** What the changes of one key come to. Offsets point into the batch's bytes. */
export type NetRow = {
  /** `replace`: deleted, then inserted again. */
  op: 'insert' | 'update' | 'delete' | 'replace';
  /** The new tuple; for a delete the old one, which has the key. */
  at: number;
  /** The old tuple of the deletion in a `replace`. */
  deleteAt: number;
  /** Value offsets by column, where several tuples make up the row (unchanged TOAST values of a later one). */
  refs: number[] | undefined;
  /** Index of the first and the last change that it stands for. */
  readonly first: number;
  last: number;
};

export type NetTable = { readonly table: ApplyTable; readonly rows: Map<string, NetRow> };

/** Changes between two barriers, netted; or one change that stands by itself, at its place. */
export type Run = { readonly net: readonly NetTable[] } | { readonly alone: number };

/**
 * One change per key over a batch, on offsets alone (pure). What can't be netted is a barrier: a key change, a TRUNCATE,
 * a control row; everything before it is carried out before, everything behind it after.
 */
export function netChanges(
  changes: DecodedChanges,
  transactions: readonly { readonly from: number; readonly to: number }[],
  tableOf: (change: number) => ApplyTable | undefined,
  wants: (table: ApplyTable, kind: number) => boolean,
): Run[] {
  const runs: Run[] = [];
  let tables = new Map<ApplyTable, NetTable>();
  const flush = () => {
    if (tables.size > 0) runs.push({ net: [...tables.values()] });
    tables = new Map();
  };
  const barrier = (change: number) => {
    flush();
    runs.push({ alone: change });
  };
  const { bytes, tags, newAt, oldAt, relations } = changes;
  for (const { from, to } of transactions)
    for (let i = from; i < to; i++) {
      const table = tableOf(i);
      if (!table && relations[i]!.name === 'heartbeat') continue;
      if (!table || tags[i] === tag.truncate) {
        barrier(i);
        continue;
      }
      if (!wants(table, tags[i]!)) continue;
      const at = newAt[i]! || Math.abs(oldAt[i]!);
      const op = opOf(tags[i]!);
      let key = keyAt(bytes, at, table.key);
      let refs: number[] | undefined;
      let moves = false;
      if (op === 'update' && oldAt[i] !== 0) {
        const old = Math.abs(oldAt[i]!);
        refs = withKeyOf(bytes, at, old, table.key);
        if (refs) key = keyOf(bytes, refs, table.key);
        moves = keyAt(bytes, old, table.key) !== key;
      }
      if (moves) {
        barrier(i);
        continue;
      }
      let net = tables.get(table);
      if (!net) {
        // Its definition changed on the way: what came before is carried out before.
        if (tables.size > 0 && [...tables.keys()].some((t) => t.sql === table.sql)) flush();
        net = { table, rows: new Map() };
        tables.set(table, net);
      }
      let row = net.rows.get(key);
      if (row && !fits(row.op, op)) {
        // The row came back through the other side in between: both stand, one behind the other.
        flush();
        net = { table, rows: new Map() };
        tables.set(table, net);
        row = undefined;
      }
      if (!row) net.rows.set(key, { op, at, deleteAt: 0, refs, first: i, last: i });
      else {
        merge(bytes, row, op, at, refs);
        row.last = i;
        if (row.op === 'delete' && tags[row.first] === tag.insert) net.rows.delete(key);
      }
    }
  flush();
  return runs;
}

const opOf = (kind: number): 'insert' | 'update' | 'delete' =>
  kind === tag.insert ? 'insert' : kind === tag.update ? 'update' : 'delete';

/** Whether a change can follow on what the row of its key has come to, in one database's own history. */
const fits = (before: NetRow['op'], op: 'insert' | 'update' | 'delete'): boolean =>
  before === 'delete' ? op === 'insert' : op !== 'insert';

/** Adds a change to the row of its key; `refs` are its values where they are not simply those of its new tuple. */
function merge(
  bytes: Buffer,
  row: NetRow,
  op: 'insert' | 'update' | 'delete',
  at: number,
  refs: number[] | undefined,
): void {
  if (op === 'insert') {
    // Only behind a deletion: statements run in the order DELETE, UPDATE, INSERT, so both fit into one run.
    row.op = 'replace';
    row.deleteAt = row.at;
    row.refs = undefined;
    row.at = at;
  } else if (op === 'delete') {
    if (row.op === 'replace') row.at = row.deleteAt;
    else row.at = at;
    row.op = 'delete';
    row.refs = undefined;
  } else {
    row.refs =
      refs || hasUnchanged(bytes, at)
        ? over(row.refs ?? refsOf(bytes, row.at), bytes, refs ?? refsOf(bytes, at))
        : undefined;
    row.at = at;
  }
}

/** Offsets of the kind bytes of a tuple's values; in `refs`, if it is given, which then holds nothing else. */
export function refsOf(b: Uint8Array, at: number, refs: number[] = []): number[] {
  const count = (b[at]! << 8) | b[at + 1]!;
  refs.length = count;
  let p = at + 2;
  for (let i = 0; i < count; i++) {
    refs[i] = p;
    p += b[p] === mark.text ? 5 + u32(b, p + 1) : 1;
  }
  return refs;
}

export function hasUnchanged(b: Uint8Array, at: number): boolean {
  let p = at + 2;
  for (let n = (b[at]! << 8) | b[at + 1]!; n > 0; n--) {
    if (b[p] === mark.unchanged) return true;
    p += b[p] === mark.text ? 5 + u32(b, p + 1) : 1;
  }
  return false;
}

const over = (earlier: readonly number[], b: Uint8Array, later: readonly number[]): number[] =>
  later.map((ref, i) => (b[ref] === mark.unchanged ? earlier[i]! : ref));

/**
 * The values of an update whose key is TOASTed and unchanged: the key's from the old tuple, which always has them.
 * Undefined where the new tuple has the key itself.
 */
export function withKeyOf(
  b: Uint8Array,
  newAt: number,
  oldAt: number,
  key: readonly number[],
): number[] | undefined {
  if (!hasUnchanged(b, newAt)) return undefined;
  const refs = refsOf(b, newAt);
  if (!key.some((k) => b[refs[k]!] === mark.unchanged)) return undefined;
  const old = refsOf(b, oldAt);
  for (const k of key) if (b[refs[k]!] === mark.unchanged) refs[k] = old[k]!;
  return refs;
}

/** The key of a tuple as one string: its bytes one by one, parts divided by NUL, which text can't have. */
export function keyAt(b: Buffer, at: number, key: readonly number[]): string {
  return key.length === 1 ? valueBytes(b, at, key[0]!) : keyOf(b, refsOf(b, at), key);
}

const keyOf = (b: Buffer, refs: readonly number[], key: readonly number[]): string =>
  key.map((k) => partAt(b, refs[k]!)).join('\0');

function valueBytes(b: Buffer, at: number, column: number): string {
  let p = at + 2;
  for (let i = 0; i < column; i++) p += b[p] === mark.text ? 5 + u32(b, p + 1) : 1;
  return partAt(b, p);
}

const partAt = (b: Buffer, ref: number): string =>
  b[ref] === mark.text ? b.latin1Slice(ref + 5, ref + 5 + u32(b, ref + 1)) : '';

/** The same string for a key that is known as text. */
export const keyString = (key: readonly string[]): string =>
  key.map((part) => Buffer.from(part, 'utf8').latin1Slice(0, Buffer.byteLength(part))).join('\0');
