/** A sorted set of 64-bit xids: from, to (exclusive), from, to ... with no two ranges that touch. */
export type XidRanges = readonly bigint[];

export const noXids: XidRanges = [];

/** True if the set has the xid. */
export const hasXid = (ranges: XidRanges, xid: bigint): boolean => {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ranges[middle]! <= xid) low = middle + 1;
    else high = middle;
  }
  return low % 2 === 1;
};

/** Both sets as one. */
export const unionXids = (one: XidRanges, other: XidRanges): XidRanges => {
  if (one.length === 0) return other;
  if (other.length === 0) return one;
  const merged: bigint[] = [];
  let i = 0;
  let j = 0;
  while (i < one.length || j < other.length) {
    const takeOne = j >= other.length || (i < one.length && one[i]! <= other[j]!);
    const from = takeOne ? one[i]! : other[j]!;
    const to = takeOne ? one[i + 1]! : other[j + 1]!;
    if (takeOne) i += 2;
    else j += 2;
    if (merged.length > 0 && from <= merged.at(-1)!) {
      if (to > merged.at(-1)!) merged[merged.length - 1] = to;
    } else merged.push(from, to);
  }
  return merged;
};

/** What is in both sets. */
export const commonXids = (one: XidRanges, other: XidRanges): XidRanges => {
  const common: bigint[] = [];
  for (let i = 0, j = 0; i < one.length && j < other.length; ) {
    const from = one[i]! > other[j]! ? one[i]! : other[j]!;
    const to = one[i + 1]! < other[j + 1]! ? one[i + 1]! : other[j + 1]!;
    if (from < to) common.push(from, to);
    if (one[i + 1]! < other[j + 1]!) i += 2;
    else j += 2;
  }
  return common;
};

/** The set with these xids, in any order. */
export const addXids = (ranges: XidRanges, xids: readonly bigint[]): XidRanges => {
  const sorted = [...xids].sort((one, other) => (one < other ? -1 : one > other ? 1 : 0));
  const added: bigint[] = [];
  for (const xid of sorted) {
    if (added.length > 0 && xid <= added.at(-1)!) {
      if (xid === added.at(-1)!) added[added.length - 1] = xid + 1n;
    } else added.push(xid, xid + 1n);
  }
  return unionXids(ranges, added);
};

/** The set without what lies below the floor. */
export const xidsFrom = (ranges: XidRanges, floor: bigint): XidRanges => {
  if (ranges.length === 0 || ranges[0]! >= floor) return ranges;
  const kept: bigint[] = [];
  for (let i = 0; i < ranges.length; i += 2) {
    if (ranges[i + 1]! <= floor) continue;
    kept.push(ranges[i]! < floor ? floor : ranges[i]!, ranges[i + 1]!);
  }
  return kept;
};

/** At most `limit` ranges: the oldest are forgotten. A forgotten xid counts as unseen, which is safe. */
export const newestRanges = (ranges: XidRanges, limit: number): XidRanges =>
  ranges.length <= 2 * limit ? ranges : ranges.slice(ranges.length - 2 * limit);
