import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  bucketsFor,
  type Candidate,
  candidate,
  compareBuckets,
  compareRows,
  type HashedRow,
  judge,
  kindOf,
  MOST_CHANGES,
  nextRangeRows,
  ROUNDS,
  sampledPages,
} from './compare.ts';

/** Rows of a side by key; equal numbers are equal rows. */
const side = fc.dictionary(fc.string({ maxLength: 2 }), fc.integer({ min: 0, max: 3 }), { maxKeys: 40 });
const rowsOf = (rows: Record<string, number>): HashedRow[] =>
  Object.entries(rows).map(([key, value]) => ({ match: key, key: [key], hash: String(value) }));
const bucketsOf = (rows: Record<string, number>, buckets: number) => {
  const made = new Map<number, { bucket: number; rows: number; hash: string }>();
  for (const [key, value] of Object.entries(rows)) {
    const bucket = [...key].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % buckets;
    const known = made.get(bucket) ?? { bucket, rows: 0, hash: '' };
    // Sorted, so that it does not depend on the order, as the sums of the statement do not.
    const hash = [...known.hash.split(',').filter(Boolean), `${JSON.stringify(key)}=${value}`]
      .sort()
      .join(',');
    made.set(bucket, { bucket, rows: known.rows + 1, hash });
  }
  return [...made.values()];
};

test('keys that differ are exactly those that are found, through buckets or not', () => {
  fc.assert(
    fc.property(side, side, fc.integer({ min: 1, max: 8 }), (a, b, count) => {
      const expected = [...new Set([...Object.keys(a), ...Object.keys(b)])].filter(
        (key) => a[key] !== b[key],
      );
      const { differing } = compareBuckets(bucketsOf(a, count), bucketsOf(b, count));
      const within = (rows: Record<string, number>) =>
        rowsOf(rows).filter(({ match }) =>
          differing.includes([...match].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % count),
        );
      const found = compareRows(within(a), within(b)).map(({ key }) => key[0]!);
      expect(found.toSorted()).toEqual(expected.toSorted());
      expect(compareRows(rowsOf(a), rowsOf(b)).length).toBe(expected.length);
    }),
  );
});

test('a bucket with as many rows and another hash differs, as does one that only one side has', () => {
  const one = { bucket: 1, rows: 2, hash: 'x' };
  expect(compareBuckets([one, { bucket: 3, rows: 1, hash: 'y' }], [{ ...one, hash: 'z' }])).toEqual({
    buckets: 2,
    differing: [1, 3],
  });
  expect(compareBuckets([], [one])).toEqual({ buckets: 1, differing: [1] });
});

describe('a difference', () => {
  const first = candidate(['1'], { a: 'x', b: 'y' });
  const look = (known: Candidate, a: string | null, b: string | null) => judge(known, { a, b });

  test('counts after it stayed the same for all rounds, and is forgotten as soon as the rows are equal', () => {
    let known: Candidate = first;
    for (let round = 1; round < ROUNDS; round++) {
      const judged = look(known, 'x', 'y');
      expect(judged).toMatchObject({ rounds: round });
      known = judged as Candidate;
    }
    expect(look(known, 'x', 'y')).toBe('different');
    expect(look(known, 'y', 'y')).toBe('equal');
    expect(look(known, null, null)).toBe('equal');
  });

  test('begins its rounds anew when a row has changed, and is left open when that goes on for ever', () => {
    let known = look(look(first, 'x', 'y') as Candidate, 'x', null) as Candidate;
    expect(known).toMatchObject({ rounds: 0, changes: 1, hashes: { a: 'x', b: null } });
    for (let n = known.changes; n < MOST_CHANGES - 1; n++) known = look(known, `x${n}`, null) as Candidate;
    expect(look(known, 'z', null)).toBe('unsettled');
  });

  test('is named by the way of its table', () => {
    expect(kindOf('both', { a: 'x', b: null })).toBe('missing-on-b');
    expect(kindOf('forward', { a: 'x', b: null })).toBe('missing-on-b');
    expect(kindOf('forward', { a: null, b: 'x' })).toBe('extra');
    expect(kindOf('reverse', { a: null, b: 'x' })).toBe('missing-on-a');
    expect(kindOf('reverse', { a: 'x', b: null })).toBe('extra');
    expect(kindOf('reverse', { a: 'x', b: 'y' })).toBe('different');
  });
});

test('ranges grow and shrink by half at most, within their limits', () => {
  const limits = { least: 10, most: 1_000 };
  expect(nextRangeRows(100, 1, limits)).toBe(200);
  expect(nextRangeRows(100, 500, limits)).toBe(100);
  expect(nextRangeRows(100, 60_000, limits)).toBe(50);
  expect(nextRangeRows(800, 0, limits)).toBe(1_000);
  expect(nextRangeRows(12, 60_000, limits)).toBe(10);
  for (const rows of [1, 500, 501, 20_000, 10_000_000]) expect(Math.log2(bucketsFor(rows)) % 1).toBe(0);
});

test('a sample has a run of pages of every stretch, and never pages that are not there', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 100_000 }),
      fc.double({ min: 0.1, max: 100, noNaN: true }),
      fc.nat(),
      (pages, percent, seed) => {
        let last = 0;
        let looked = 0;
        for (let stretch = 0; ; stretch++) {
          const run = sampledPages(pages, percent, seed, stretch);
          if (!run) break;
          expect(run.from).toBeGreaterThanOrEqual(last);
          expect(run.to).toBeGreaterThan(run.from);
          expect(run.to).toBeLessThanOrEqual(pages);
          last = run.to;
          looked += run.to - run.from;
        }
        expect(looked > 0).toBe(pages > 0);
        if (percent === 100) expect(looked).toBe(pages);
      },
    ),
  );
});
