import { mark, type Relation, tag, u32 } from '../../shared/postgres/pgoutput.ts';
import type { DecodedChanges } from '../../shared/stream/decode.ts';
import { type NetRow, type NetTable, refsOf } from './net-change.ts';
import { NeedsExact } from './row-sets.ts';
import type { ApplyTable } from './tables.ts';

/** From so many rows on: below, a statement with arrays takes as long. */
const LEAST_ROWS = 1_000;
const BUFFER_BYTES = 256 * 1024;
const NULL = Buffer.from('\\N');
const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const BACKSLASH = 0x5c;

/** New rows by the offsets of their tuples, or of the values of one. */
export type Tuples = Iterable<number | readonly number[]>;

/** A row of a COPY was there already, or something kept it out: the transaction is written again without COPY. */
export class CopyCollides extends NeedsExact {}

/** Tables where a COPY has failed lately, with the number of INSERTs that must go well before the next COPY. */
const collided = new WeakMap<ApplyTable, number>();
const TO_GO_WELL = 8;

/**
 * Whether so many new rows of a table can go by COPY. One whose key or unique value is there makes the COPY fail, and
 * with it the transaction, which is then written in another way; so it is done where this has not happened lately. COPY
 * knows no rules.
 */
export const isForCopy = (table: ApplyTable, count: number): boolean =>
  count >= LEAST_ROWS && !table.deferrableUnique && !table.hasRules && !collided.has(table);

/** A COPY into the table has failed. */
export const noteCollision = (table: ApplyTable): void => {
  collided.set(table, TO_GO_WELL);
};

/** Rows were inserted without COPY; `all`: none of them was there. */
export function noteInserted(table: ApplyTable, all: boolean): void {
  const left = collided.get(table);
  if (!all) collided.set(table, TO_GO_WELL);
  else if (left !== undefined && left > 1) collided.set(table, left - 1);
  else collided.delete(table);
}

/** The rows of a table after netting, if all are new ones that can go by COPY. */
export function copyable({ table, rows }: NetTable): Tuples | undefined {
  if (!isForCopy(table, rows.size)) return undefined;
  for (const { op } of rows.values()) if (op !== 'insert') return undefined;
  return tuplesOf(rows.values());
}

function* tuplesOf(rows: Iterable<NetRow>): Tuples {
  for (const row of rows) yield row.refs ?? row.at;
}

/**
 * The tables and rows of changes that are new rows and nothing else; undefined of others. Netting could not change
 * them: without a deletion in between the source has no key twice.
 */
export function onlyInserts(
  { tags, relations, newAt }: DecodedChanges,
  transactions: readonly { readonly from: number; readonly to: number }[],
  tableOf: (relation: Relation) => ApplyTable | undefined,
): Map<ApplyTable, number[]> | undefined {
  const inserts = new Map<ApplyTable, number[]>();
  let last: Relation | undefined;
  let rows: number[] = [];
  for (const { from, to } of transactions)
    for (let i = from; i < to; i++) {
      if (tags[i] !== tag.insert) return undefined;
      if (relations[i] !== last) {
        last = relations[i]!;
        const table = tableOf(last);
        if (!table) return undefined;
        rows = inserts.get(table) ?? [];
        inserts.set(table, rows);
      }
      rows.push(newAt[i]!);
    }
  return inserts;
}

/** The rows in COPY's text format (manual, COPY, "File Formats"), in buffers of about 256 KB. */
export function* copyText(bytes: Buffer, { columns }: Pick<ApplyTable, 'columns'>, tuples: Tuples) {
  const count = columns.length;
  const refs: number[] = [];
  let out = Buffer.allocUnsafe(BUFFER_BYTES);
  let at = 0;
  for (const tuple of tuples) {
    const of = typeof tuple === 'number' ? refsOf(bytes, tuple, refs) : tuple;
    for (let c = 0; c < count; c++) {
      const ref = of[c]!;
      const text = bytes[ref] === mark.text;
      const size = text ? u32(bytes, ref + 1) : NULL.length;
      // Each byte may need a backslash; a tab or newline follows.
      if (at + 2 * size + 1 > out.length) {
        if (at > 0) yield out.subarray(0, at);
        out = Buffer.allocUnsafe(Math.max(BUFFER_BYTES, 2 * size + 1));
        at = 0;
      }
      if (text) at = escaped(bytes, ref + 5, ref + 5 + size, out, at);
      else at += NULL.copy(out, at);
      out[at++] = c === count - 1 ? NEWLINE : TAB;
    }
  }
  if (at > 0) yield out.subarray(0, at);
}

function escaped(from: Buffer, start: number, end: number, to: Buffer, at: number): number {
  let p = at;
  for (let i = start; i < end; i++) {
    const byte = from[i]!;
    if (byte === BACKSLASH || byte <= RETURN) {
      if (byte === TAB) {
        to[p++] = BACKSLASH;
        to[p++] = 0x74;
        continue;
      }
      if (byte === NEWLINE || byte === RETURN) {
        to[p++] = BACKSLASH;
        to[p++] = byte === NEWLINE ? 0x6e : 0x72;
        continue;
      }
      if (byte === BACKSLASH) to[p++] = BACKSLASH;
    }
    to[p++] = byte;
  }
  return p;
}
