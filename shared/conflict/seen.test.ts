import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  guardOf,
  hasSeen,
  isUnseen,
  isUnsure,
  maxRanges,
  nothingSeen,
  parseSeen,
  type Seen,
  seenText,
  slack,
  unionSeen,
  widenXid,
  withFloor,
  withTransactions,
} from './seen.ts';
import { addXids, hasXid, noXids, type XidRanges, xidsFrom } from './xid-ranges.ts';

const low32 = (xid: bigint): number => Number(BigInt.asUintN(32, xid));
const floors = fc.oneof(
  fc.bigInt(3n, 1n << 36n),
  fc.constantFrom((1n << 32n) - 5n, 3n * (1n << 32n) - 1n, (1n << 31n) - 2n),
);
const offsets = fc.array(fc.bigInt(0n, 400n), { maxLength: 60 });

const stateOf = (floor: bigint, seen: readonly bigint[]): Seen =>
  withTransactions(
    withFloor(nothingSeen, floor, floor),
    seen.map((offset) => ({ xid: floor + offset, time: offset })),
  );

describe('the interval rule', () => {
  test('an xid at or above the floor is unseen unless seen or own, across every wrap of 32 bits', () => {
    fc.assert(
      fc.property(floors, offsets, offsets, fc.bigInt(0n, 500n), (floor, seen, own, offset) => {
        const expected = !seen.includes(offset) && !own.includes(offset);
        const ownXids = addXids(
          noXids,
          own.map((each) => floor + each),
        );
        expect(isUnseen(low32(floor + offset), stateOf(floor, seen), ownXids, floor + 500n)).toBe(expected);
      }),
    );
  });

  test('what ended below the floor was seen, also where its number is larger than the floor', () => {
    fc.assert(
      fc.property(floors, offsets, fc.bigInt(1n, 1n << 31n), (floor, seen, age) => {
        expect(isUnseen(low32(floor - age), stateOf(floor, seen), noXids, floor + 500n)).toBe(false);
      }),
    );
  });

  test('a row newer than every number read before is unseen, within the slack', () => {
    expect(isUnseen(low32(1000n + slack - 1n), stateOf(1000n, []), noXids, 1000n)).toBe(true);
    expect(isUnseen(low32(1000n + slack), stateOf(1000n, []), noXids, 1000n)).toBe(false);
  });

  test('nothing known, or two billion xids apart: everything is unseen', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), (xmin) => {
        expect(isUnseen(xmin, nothingSeen, noXids, 5n * (1n << 32n))).toBe(true);
        expect(isUnseen(xmin, stateOf(100n, [1n]), noXids, 100n + (1n << 31n))).toBe(true);
      }),
    );
    expect(guardOf(nothingSeen, noXids, 5n * (1n << 32n))).toEqual(['0', '4294967296', '{}']);
  });

  test('the parameters of the guard say the same', () => {
    fc.assert(
      fc.property(
        floors,
        offsets,
        offsets,
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        fc.bigInt(0n, 450n),
        (floor, seen, own, any, near) => {
          const state = stateOf(floor, seen);
          const ownXids = addXids(
            noXids,
            own.map((each) => floor + each),
          );
          for (const xmin of [any, low32(floor + near)])
            expect(guardSays(guardOf(state, ownXids, floor + 450n), xmin)).toBe(
              isUnseen(xmin, state, ownXids, floor + 450n),
            );
        },
      ),
    );
  });
});

/** `unseenSql` in TypeScript, on its parameters alone. */
const guardSays = ([floor, span, ranges]: readonly [string, string, string], xmin: number): boolean => {
  const offset = (BigInt(xmin) - BigInt(floor)) & 4294967295n;
  const within = [...ranges.matchAll(/\[(\d+),(\d+)\)/g)].some(
    ([, from, to]) => offset >= BigInt(from!) && offset < BigInt(to!),
  );
  return offset < BigInt(span) && !within;
};

describe('the state', () => {
  test('survives its text', () => {
    fc.assert(
      fc.property(floors, offsets, (floor, seen) => {
        const state = stateOf(floor, seen);
        expect(parseSeen(seenText(state))).toEqual(state);
      }),
    );
  });

  test('malformed text is refused with a code', () => {
    for (const text of ['', '2:0:0:0:', '1:0:0:0:,', '1:0:0:0:1-', '1:0:0:0:-1', '1:A:0:0:', '1:0:0:0:1-2-3'])
      expect(() => parseSeen(text), text).toThrow(expect.objectContaining({ code: 'message-malformed' }));
  });

  test('grows only: what was seen stays seen, whatever is added, and the floor only rises', () => {
    fc.assert(
      fc.property(floors, offsets, offsets, fc.bigInt(-50n, 500n), (floor, first, then, by) => {
        const before = stateOf(floor, first);
        const after = withFloor(unionSeen(before, stateOf(floor, then)), floor + by, floor + 500n);
        expect(after.floor >= before.floor).toBe(true);
        for (const offset of [...first, ...then]) expect(hasSeen(after, floor + offset)).toBe(true);
        for (let offset = 0n; offset < 400n; offset++)
          if (hasSeen(after, floor + offset))
            expect(offset < by || first.includes(offset) || then.includes(offset)).toBe(true);
      }),
    );
  });

  test('is bounded: the oldest xids are forgotten, which makes them unseen', () => {
    const every = Array.from({ length: 3 * maxRanges }, (_, index) => BigInt(2 * index));
    const state = stateOf(1000n, every);
    expect(state.xids.length).toBe(2 * maxRanges);
    expect(hasSeen(state, 1000n)).toBe(false);
    expect(hasSeen(state, 1000n + every.at(-1)!)).toBe(true);
    expect(seenText(state).length).toBeLessThan(5000);
  });

  test('32 bits are widened to the nearest 64-bit xid', () => {
    fc.assert(
      fc.property(
        fc.bigInt(1n << 31n, 1n << 40n),
        fc.bigInt(-(1n << 31n) + 1n, (1n << 31n) - 1n),
        (near, by) => {
          expect(widenXid(low32(near + by), near)).toBe(near + by);
        },
      ),
    );
  });
});

test('unsure is what may be a subtransaction of a seen transaction', () => {
  const state = withTransactions(withFloor(nothingSeen, 100n, 100n), [{ xid: 105n, time: 50n }]);
  expect(isUnsure(106, state, 120n, null)).toBe(true);
  expect(isUnsure(106, state, 120n, 50n)).toBe(true);
  expect(isUnsure(106, state, 120n, 51n)).toBe(false); // committed after everything that was seen
  expect(isUnsure(106, withFloor(nothingSeen, 100n, 100n), 120n, null)).toBe(false); // nothing seen it could belong to
});

test('sets of xids are what sets are', () => {
  fc.assert(
    fc.property(offsets, offsets, fc.bigInt(0n, 400n), (one, other, floor) => {
      const ranges: XidRanges = xidsFrom(addXids(addXids(noXids, one), other), floor);
      for (let xid = 0n; xid < 401n; xid++)
        expect(hasXid(ranges, xid)).toBe(xid >= floor && (one.includes(xid) || other.includes(xid)));
      for (let i = 1; i < ranges.length; i++) expect(ranges[i]! > ranges[i - 1]!).toBe(true);
    }),
  );
});
