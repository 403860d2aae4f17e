import { PgtwinError } from '../errors/pgtwin-error.ts';

/**
 * Readers of pgoutput messages, protocol version 2 (PostgreSQL manual, 53.9 "Logical Replication Message Formats").
 * They work on offsets into a buffer and copy nothing; values are text as PostgreSQL printed it.
 */
export const tag = {
  begin: 0x42, // B
  commit: 0x43, // C
  origin: 0x4f, // O
  relation: 0x52, // R
  type: 0x59, // Y
  insert: 0x49, // I
  update: 0x55, // U
  delete: 0x44, // D
  truncate: 0x54, // T
  message: 0x4d, // M
  streamStart: 0x53, // S
  streamStop: 0x45, // E
  streamCommit: 0x63, // c
  streamAbort: 0x41, // A
} as const;

declare global {
  interface Buffer {
    /** Node's own fast slices, without the option handling of toString. */
    utf8Slice(start: number, end: number): string;
    latin1Slice(start: number, end: number): string;
  }
}

/** Kinds of a value and of a tuple. */
export const mark = {
  null: 0x6e, // n
  unchanged: 0x75, // u: TOASTed and not changed, not sent
  text: 0x74, // t
  newTuple: 0x4e, // N
  keyTuple: 0x4b, // K
  oldTuple: 0x4f, // O
} as const;

export type RelationColumn = { readonly name: string; readonly typeOid: number; readonly inKey: boolean };
export type Relation = {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** `d` default, `n` nothing, `f` full, `i` index. */
  readonly identity: string;
  readonly columns: readonly RelationColumn[];
};

export const u16 = (b: Uint8Array, at: number): number => (b[at]! << 8) | b[at + 1]!;
export const u32 = (b: Uint8Array, at: number): number =>
  b[at]! * 0x1000000 + ((b[at + 1]! << 16) | (b[at + 2]! << 8) | b[at + 3]!);
export const u64 = (b: Uint8Array, at: number): bigint =>
  (BigInt(u32(b, at)) << 32n) | BigInt(u32(b, at + 4));

const malformed = (why: string) =>
  new PgtwinError('wal-message-malformed', { detail: `A replication message is malformed: ${why}.` });

/** Begin: the commit record's LSN, commit time in microseconds since 2000-01-01, and the 32-bit xid. */
export const readBegin = (
  b: Uint8Array,
  at: number,
  end: number,
): { commitLsn: bigint; time: bigint; xid: number } => {
  if (end !== at + 21) throw malformed('begin has not its length');
  return { commitLsn: u64(b, at + 1), time: u64(b, at + 9), xid: u32(b, at + 17) };
};

/** Commit: LSN of the commit record and the LSN behind it, which is what may be confirmed to the slot. */
export const readCommit = (
  b: Uint8Array,
  at: number,
  end: number,
): { commitLsn: bigint; endLsn: bigint; time: bigint } => {
  if (end !== at + 26) throw malformed('commit has not its length');
  return { commitLsn: u64(b, at + 2), endLsn: u64(b, at + 10), time: u64(b, at + 18) };
};

/** Begin as the server sends it for a transaction that is not streamed; the time in microseconds since 2000-01-01. */
export function writeBegin(begin: { commitLsn: bigint; time: bigint; xid: number }): Buffer {
  const b = Buffer.allocUnsafe(21);
  b[0] = tag.begin;
  b.writeBigUInt64BE(begin.commitLsn, 1);
  b.writeBigInt64BE(begin.time, 9);
  b.writeUInt32BE(begin.xid, 17);
  return b;
}

/** Relation, from its tag up to `end`. */
export function readRelation(b: Buffer, at: number, end: number): Relation {
  let p = at + 5;
  const text = (): string => {
    const stop = b.indexOf(0, p);
    if (stop < 0 || stop >= end) throw malformed('a name has no end');
    const value = b.utf8Slice(p, stop);
    p = stop + 1;
    return value;
  };
  if (end < at + 10) throw malformed('relation is too short');
  const oid = u32(b, at + 1);
  const schema = text() || 'pg_catalog';
  const name = text();
  if (p + 3 > end) throw malformed('relation is too short');
  const identity = String.fromCharCode(b[p]!);
  const count = u16(b, p + 1);
  p += 3;
  const columns: RelationColumn[] = [];
  for (let i = 0; i < count; i++) {
    const inKey = (b[p]! & 1) === 1;
    p += 1;
    const column = text();
    if (p + 8 > end) throw malformed('a column is too short');
    columns.push({ name: column, typeOid: u32(b, p), inKey });
    p += 8;
  }
  if (p !== end) throw malformed('relation is longer than its columns');
  return { oid, schema, name, identity, columns };
}

/** Truncate: the relation ids; `options` bit 1 is CASCADE, bit 2 RESTART IDENTITY. */
export function readTruncate(
  b: Uint8Array,
  at: number,
  end: number,
): { options: number; relations: number[] } {
  const count = u32(b, at + 1);
  if (end !== at + 6 + 4 * count) throw malformed('truncate has not its length');
  return { options: b[at + 5]!, relations: Array.from({ length: count }, (_, i) => u32(b, at + 6 + 4 * i)) };
}

/**
 * Writes the offset of each value's kind byte of the tuple at `at` (its column count) into `refs` from `from` on.
 * Returns the offset behind the tuple.
 */
export function walkTuple(b: Uint8Array, at: number, end: number, refs: number[], from: number): number {
  const count = u16(b, at);
  const behind = checkTuple(b, at, end, count);
  let p = at + 2;
  for (let i = 0; i < count; i++) {
    refs[from + i] = p;
    p += b[p] === mark.text ? 5 + u32(b, p + 1) : 1;
  }
  return behind;
}

/**
 * The offset behind the tuple at `at`, which must have this many values of known kinds and end by `end`: what has
 * passed here can be read without looking at limits again.
 */
export function checkTuple(b: Uint8Array, at: number, end: number, columns: number): number {
  if (at + 2 > end || u16(b, at) !== columns) throw malformed('a tuple has not the columns of its relation');
  let p = at + 2;
  for (let n = columns; n > 0; n--) {
    const kind = b[p];
    if (kind === mark.text) p += 5 + u32(b, p + 1);
    else if (kind === mark.null || kind === mark.unchanged) p += 1;
    else throw malformed(`value of unknown kind ${kind}`);
    // A length that was cut off reads as not a number.
    if (!(p <= end)) throw malformed('a tuple is longer than its message');
  }
  return p;
}

/** A value: text, null, or undefined for an unchanged TOAST value that was not sent. */
export function valueAt(b: Buffer, ref: number): string | null | undefined {
  const kind = b[ref];
  if (kind === mark.text) return b.utf8Slice(ref + 5, ref + 5 + u32(b, ref + 1));
  return kind === mark.null ? null : undefined;
}

/** The values of the new tuple of an Insert or Update at `start`, by name; empty text for NULL and what is not there. */
export function newValues(
  b: Buffer,
  start: number,
  end: number,
  { columns }: Pick<Relation, 'columns'>,
): (name: string) => string {
  const refs: number[] = [];
  walkTuple(b, readTupleStart(b, start, end), end, refs, 0);
  return (name) => {
    const ref = refs[columns.findIndex((column) => column.name === name)];
    return ref === undefined ? '' : (valueAt(b, ref) ?? '');
  };
}

/** Microseconds between 1970 and PostgreSQL's 2000-01-01. */
const EPOCH_2000_MICROS = 946_684_800_000_000n;
/** A pgoutput time as microseconds since 1970. */
export const unixMicros = (time: bigint): bigint => BigInt.asIntN(64, time) + EPOCH_2000_MICROS;
/** Microseconds since 1970 as a pgoutput time. */
export const pgMicros = (micros: bigint): bigint => micros - EPOCH_2000_MICROS;
/** Microseconds since 1970 as text for a timestamptz parameter. */
export const timestampText = (micros: bigint): string => {
  const date = new Date(Number(micros / 1000n)).toISOString();
  return `${date.slice(0, -1)}${String(micros % 1000n).padStart(3, '0')}Z`;
};

/** Offset of the new tuple of an Insert or Update at `start`, behind an old or key tuple if there is one. */
export function readTupleStart(b: Buffer, start: number, end: number): number {
  let p = start + 5;
  if (b[p] === mark.keyTuple || b[p] === mark.oldTuple) p = checkTuple(b, p + 1, end, u16(b, p + 1));
  if (b[p] !== mark.newTuple) throw malformed('a new tuple is missing');
  return p + 1;
}
