import { PgtwinError } from '../errors/pgtwin-error.ts';
import {
  addXids,
  commonXids,
  hasXid,
  newestRanges,
  noXids,
  unionXids,
  type XidRanges,
  xidsFrom,
} from './xid-ranges.ts';

/**
 * What one side had seen of the other at a point of its own WAL: the xids, of the other side, whose changes it had
 * applied (or skipped and pulled). Every field is a promise that may be too small, never too large: in doubt an xid is
 * unseen, which costs a needless conflict; a wrongly seen one costs convergence.
 */
export type Seen = {
  /** Every xid below was seen: subtransactions, aborted and unpublished ones as well. 64 bits. 0: nothing is known. */
  readonly floor: bigint;
  /** The newest next xid that is known: what 32-bit xids are widened by. 64 bits. */
  readonly next: bigint;
  /** The seen xids at or above the floor. */
  readonly xids: XidRanges;
  /** The newest hybrid commit time among the seen transactions, microseconds. */
  readonly time: bigint;
};

/** Nothing is known: everything is unseen. */
export const nothingSeen: Seen = { floor: 0n, next: 0n, xids: noXids, time: 0n };

/** How many ranges a state holds at most: about 5 kB of text. */
export const maxRanges = 512;

/** Xids that may begin between the reading of the next xid and the last row lock of the transaction that read it. */
export const slack = 1n << 24n;
const circle = 1n << 32n;
const half = 1n << 31n;

/** A transaction of the other side was applied. */
export type SeenTransaction = { readonly xid: bigint; readonly time: bigint };

/** The state after these transactions of the other side were applied. */
export const withTransactions = (seen: Seen, transactions: readonly SeenTransaction[]): Seen => {
  const added = addXids(
    seen.xids,
    transactions.map((transaction) => transaction.xid).filter((xid) => xid >= seen.floor),
  );
  let { next, time } = seen;
  for (const transaction of transactions) {
    if (transaction.xid >= next) next = transaction.xid + 1n;
    if (transaction.time > time) time = transaction.time;
  }
  return { floor: seen.floor, next, xids: newestRanges(added, maxRanges), time };
};

/** The state after a heartbeat of the other side: every xid below its floor ended before that WAL position. */
export const withFloor = (seen: Seen, floor: bigint, next: bigint): Seen => ({
  floor: floor > seen.floor ? floor : seen.floor,
  next: next > seen.next ? next : seen.next,
  xids: xidsFrom(seen.xids, floor),
  time: seen.time,
});

/** What either of two states of one side knows. Both must be true at the same WAL position. */
export const unionSeen = (one: Seen, other: Seen): Seen => {
  const higher = withFloor(one, other.floor, other.next);
  const xids = xidsFrom(unionXids(higher.xids, other.xids), higher.floor);
  return {
    ...higher,
    xids: newestRanges(xids, maxRanges),
    time: later(one.time, other.time),
  };
};

/** What both of two states know: for what concerns rows of which each has its own. */
export const commonSeen = (one: Seen, other: Seen): Seen => {
  const floor = one.floor < other.floor ? one.floor : other.floor;
  const from = (seen: Seen): XidRanges =>
    unionXids(seen.floor > floor ? [floor, seen.floor] : noXids, seen.xids);
  return {
    floor,
    // Where what may be unseen ends, and what may have been seen: the wider one each time.
    next: later(one.next, other.next),
    xids: newestRanges(commonXids(from(one), from(other)), maxRanges),
    time: later(one.time, other.time),
  };
};

const later = (one: bigint, other: bigint): bigint => (one < other ? other : one);

/** A 32-bit xid as the 64-bit one that is nearest to a known one. */
export const widenXid = (xid: number, near: bigint): bigint => {
  const base = (near & ~(circle - 1n)) + BigInt(xid >>> 0);
  if (base + half < near) return base + circle;
  if (base - half > near && base >= circle) return base - circle;
  return base;
};

/** True if the transaction with this 64-bit xid was seen. */
export const hasSeen = (seen: Seen, xid: bigint): boolean => xid < seen.floor || hasXid(seen.xids, xid); // rule: set-not-mark

/** Where the xids that may be unseen lie: offsets from the floor below `span`; `everything` is the alert's case. */
const intervalOf = (seen: Seen, next: bigint): { span: bigint; everything: boolean } => {
  const span = (next > seen.next ? next : seen.next) - seen.floor + slack;
  return { span, everything: span >= half };
};

/** True if the states lie so far apart that no row's xid can be told: every row is unseen, and someone must look. */
export const seesNothing = (seen: Seen, next: bigint): boolean => intervalOf(seen, next).everything;

/**
 * True if the author of a change, who had seen `seen`, had not seen the local row version with this `xmin`. `own` are
 * apply's own xids at or above the floor; `next` is the local database's next xid, read in this transaction (an older
 * one would make newer rows look like frozen ones). For rows of the control tables give no own xids.
 *
 * An interval, not a half circle: rows that were frozen keep their old xmin, which may lie anywhere.
 */
export const isUnseen = (xmin: number, seen: Seen, own: XidRanges, next: bigint): boolean => {
  const { span, everything } = intervalOf(seen, next);
  if (everything) return true;
  const offset = BigInt.asUintN(32, BigInt(xmin) - seen.floor); // rule: modulo
  if (offset >= span) return false;
  const xid = seen.floor + offset;
  return !hasXid(seen.xids, xid) && !hasXid(own, xid); // rule: unseen-by-set
};

/**
 * The same rule for a WHERE clause: `unseenSql(alias, n)` with `guardOf(...)` as parameters n, n+1, n+2.
 * Why they agree: `& 4294967295` of a 64-bit difference is `asUintN(32)`; `span` is the same number, or the whole
 * circle where everything is unseen, so that the comparison is always true; and the multirange holds what `hasXid`
 * would find in either set, as offsets from the floor (offsets, so that the set does not wrap).
 */
export const unseenSql = (alias: string, first: number): string => {
  const offset = `((${alias}.xmin::text::int8 - $${first}::int8) & 4294967295)`;
  return /* sql */ `(${offset} < $${first + 1}::int8 and not $${first + 2}::int8multirange @> ${offset})`;
};

/** The three parameters of `unseenSql`: floor modulo 2^32, span, seen and own offsets as an `int8multirange`. */
export const guardOf = (seen: Seen, own: XidRanges, next: bigint): readonly [string, string, string] => {
  const { span, everything } = intervalOf(seen, next);
  const floor = String(BigInt.asUintN(32, seen.floor));
  if (everything) return [floor, String(circle), '{}'];
  const known = xidsFrom(unionXids(seen.xids, own), seen.floor);
  const ranges: string[] = [];
  for (let i = 0; i < known.length; i += 2)
    ranges.push(`[${known[i]! - seen.floor},${known[i + 1]! - seen.floor})`);
  return [floor, String(span), `{${ranges.join(',')}}`];
};

/**
 * True if an unseen local version may have been seen after all: its xid can be that of a subtransaction, which Begin
 * does not name, of a seen transaction (one with a smaller xid). A commit time above all seen ones excludes that: a
 * subtransaction has its transaction's. Only for the log: the decision takes it as unseen.
 */
export const isUnsure = (xmin: number, seen: Seen, next: bigint, time: bigint | null): boolean => {
  if (time !== null && time > seen.time) return false;
  if (seesNothing(seen, next)) return true;
  const xid = seen.floor + BigInt.asUintN(32, BigInt(xmin) - seen.floor);
  return xid < seen.next || (seen.xids.length > 0 && seen.xids[0]! < xid);
};

/** Compact text for message header, progress row and checkpoint: version, floor, next, time, gaps and lengths. */
export const seenText = (seen: Seen): string => {
  const parts: string[] = [];
  let last = seen.floor;
  for (let i = 0; i < seen.xids.length; i += 2) {
    const gap = (seen.xids[i]! - last).toString(36);
    const length = seen.xids[i + 1]! - seen.xids[i]!;
    parts.push(length === 1n ? gap : `${gap}-${length.toString(36)}`);
    last = seen.xids[i + 1]!;
  }
  return `1:${seen.floor.toString(36)}:${seen.next.toString(36)}:${seen.time.toString(36)}:${parts.join(',')}`;
};

const textPattern =
  /^1:([0-9a-z]{1,13}):([0-9a-z]{1,13}):([0-9a-z]{1,13}):((?:[0-9a-z]{1,13}(?:-[0-9a-z]{1,13})?(?:,(?!$)|$))*)$/;

/** The state that `seenText` wrote. Throws `message-malformed`. */
export const parseSeen = (text: string): Seen => {
  const match = textPattern.exec(text);
  if (match === null)
    throw new PgtwinError('message-malformed', { detail: 'The state of seen xids is malformed.' });
  const floor = parse36(match[1]!);
  const xids: bigint[] = [];
  let last = floor;
  for (const part of match[4] === '' ? [] : match[4]!.split(',')) {
    const [gap, length] = part.split('-') as [string, string?];
    const from = last + parse36(gap);
    last = from + (length === undefined ? 1n : parse36(length));
    xids.push(from, last);
  }
  return { floor, next: parse36(match[2]!), xids, time: parse36(match[3]!) };
};

const parse36 = (text: string): bigint => {
  const number = Number.parseInt(text, 36);
  if (Number.isSafeInteger(number)) return BigInt(number);
  let value = 0n;
  for (const digit of text) value = value * 36n + BigInt(Number.parseInt(digit, 36));
  return value;
};
