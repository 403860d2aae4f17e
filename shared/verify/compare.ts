import type { Side } from '../task/schema.ts';

/** Rows of a table that both sides should have alike: of both directions, or of the one that is synchronized. */
export type Way = 'both' | 'forward' | 'reverse';

/** What a difference is. A row that only the destination of a one-way table has is extra, not missing at its source. */
export const differenceKinds = ['missing-on-a', 'missing-on-b', 'different', 'extra'] as const;
export type DifferenceKind = (typeof differenceKinds)[number];

/** Hash over the rows of a part of a range: independent of their order. */
export type Bucket = { readonly bucket: number; readonly rows: number; readonly hash: string };

/** A row of one side: its key as printed there, the key by which both sides' rows are matched, and its hash. */
export type HashedRow = { readonly match: string; readonly key: readonly string[]; readonly hash: string };

/** The hashes of a key's row on both sides; null: there is none. */
export type Pair = Readonly<Record<Side, string | null>>;

/** A key whose rows differed when they were last looked at. */
export type Candidate = {
  readonly key: readonly string[];
  readonly hashes: Pair;
  /** So often in a row both rows were as they are here, each time after all that was on its way had arrived. */
  readonly rounds: number;
  /** So often they differed, but in another way than the time before. */
  readonly changes: number;
};

/** The numbers of the buckets that differ, and how many there are on either side. */
export function compareBuckets(
  a: readonly Bucket[],
  b: readonly Bucket[],
): { readonly buckets: number; readonly differing: number[] } {
  const other = new Map(b.map((each) => [each.bucket, each]));
  const differing: number[] = [];
  for (const one of a) {
    const match = other.get(one.bucket);
    if (match?.hash !== one.hash || match.rows !== one.rows) differing.push(one.bucket);
    other.delete(one.bucket);
  }
  const alone = [...other.keys()];
  return { buckets: a.length + alone.length, differing: [...differing, ...alone].sort((x, y) => x - y) };
}

/** The keys whose rows are not the same on both sides, in the order of side a, then those of b alone. */
export function compareRows(a: readonly HashedRow[], b: readonly HashedRow[]): Candidate[] {
  const other = new Map(b.map((each) => [each.match, each]));
  const found: Candidate[] = [];
  for (const { match, key, hash } of a) {
    const there = other.get(match);
    other.delete(match);
    if (there?.hash !== hash) found.push(candidate(key, { a: hash, b: there?.hash ?? null }));
  }
  for (const { key, hash } of other.values()) found.push(candidate(key, { a: null, b: hash }));
  return found;
}

export const candidate = (key: readonly string[], hashes: Pair): Candidate => ({
  key,
  hashes,
  rounds: 0,
  changes: 0,
});

/**
 * A difference counts when it stayed the same for so many rounds, each after the watermarks of both directions had
 * passed what was there at the round before: a change, the pull of a follower that skipped it, the outcome, and the
 * second pull after an absent outcome are four messages behind each other.
 */
export const ROUNDS = 4;
/** A key whose rows were found different so often, each time in another way, is left open. */
export const MOST_CHANGES = 15;

/** After so many rounds a difference counts, after so many changes a key is left open. */
export type Patience = { readonly rounds: number; readonly changes: number };
export const patience: Patience = { rounds: ROUNDS, changes: MOST_CHANGES };

export type Judgement = 'equal' | 'different' | 'unsettled' | Candidate;

/** What a new look at a key says, once everything that was on its way at the last one has arrived (pure). */
export function judge(known: Candidate, now: Pair, { rounds, changes } = patience): Judgement {
  if (now.a === now.b) return 'equal';
  const same = now.a === known.hashes.a && now.b === known.hashes.b;
  if (!same) {
    if (known.changes + 1 >= changes) return 'unsettled';
    return { key: known.key, hashes: now, rounds: 0, changes: known.changes + 1 };
  }
  if (known.rounds + 1 >= rounds) return 'different';
  return { ...known, rounds: known.rounds + 1 };
}

export function kindOf(way: Way, { a, b }: Pair): DifferenceKind {
  if (a !== null && b !== null) return 'different';
  const missing = a === null ? 'a' : 'b';
  const source = way === 'reverse' ? 'b' : 'a';
  return way !== 'both' && missing === source ? 'extra' : `missing-on-${missing}`;
}

/** The rows that the next range is to have: as many as half a second takes, at most doubled or halved at a time. */
export function nextRangeRows(
  rows: number,
  took: number,
  limits: { readonly least: number; readonly most: number },
): number {
  const wanted = took <= 0 ? rows * 2 : (rows * RANGE_MS) / took;
  const step = Math.min(rows * 2, Math.max(rows / 2, wanted));
  return Math.round(Math.min(limits.most, Math.max(limits.least, step)));
}
const RANGE_MS = 500;

/** Buckets of a range, a power of two: about 500 rows each. */
export function bucketsFor(rows: number): number {
  let buckets = 1;
  while (buckets < 256 && rows / buckets > 500) buckets *= 2;
  return buckets;
}

/** Numbers that look random and are the same for the same seed and place. */
export function scattered(seed: number, place: number, below: number): number {
  let x = (Math.imul(seed ^ (place * 0x9e3779b1), 0x85ebca6b) ^ (seed >>> 3)) >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d) >>> 0;
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b) >>> 0;
  return ((x ^ (x >>> 16)) >>> 0) % Math.max(1, below);
}

/** The pages of a table that a sample looks at: of each stretch one run, somewhere in it. */
export function sampledPages(
  pages: number,
  percent: number,
  seed: number,
  stretch: number,
): { readonly from: number; readonly to: number } | undefined {
  const length = Math.max(RUN_PAGES, Math.floor((RUN_PAGES * 100) / percent));
  const start = stretch * length;
  if (start >= pages) return undefined;
  const room = Math.min(length, pages - start) - RUN_PAGES;
  const from = start + (room <= 0 ? 0 : scattered(seed, stretch, room + 1));
  return { from, to: Math.min(pages, from + RUN_PAGES) };
}
const RUN_PAGES = 32;
