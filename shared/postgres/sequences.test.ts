import fc from 'fast-check';
import { expect, test } from 'vitest';
import { moveOf, nextOf, type SequenceState } from './sequences.ts';

const sequence = (fields: Partial<SequenceState>): SequenceState => ({
  ...{ schema: 's', name: 'q', last: '1', called: false, increment: '1', columns: [], cycle: false },
  ...{ least: '-9223372036854775808', most: '9223372036854775807', ...fields },
});

test('whatever the steps: the next value is beyond all that are taken, of its own kind, and never behind', () => {
  const value = fc.bigInt({ min: -10_000n, max: 10_000n });
  fc.assert(
    fc.property(
      value,
      fc.boolean(),
      fc.bigInt({ min: -7n, max: 7n }).filter((n) => n !== 0n),
      fc.array(fc.option(value)),
      (last, called, increment, taken) => {
        const of = sequence({ last: String(last), called, increment: String(increment) });
        const before = nextOf(of);
        const after = BigInt(moveOf(of, taken).new);
        const direction = increment > 0n ? 1n : -1n;
        for (const each of taken) if (each !== null) expect((after - each) * direction).toBeGreaterThan(0n);
        expect((after - before) % increment).toBe(0n);
        expect((after - before) * direction).toBeGreaterThanOrEqual(0n);
        // Not further than needed.
        const furthest = taken.reduce<bigint | null>(
          (far, each) => (each === null || (far !== null && (each - far) * direction < 0n) ? far : each),
          null,
        );
        if (after !== before)
          expect((after - furthest!) * direction).toBeLessThanOrEqual(increment * direction);
      },
    ),
  );
});

test('one that gives odd numbers goes on to', () => {
  const odd = sequence({ last: '3', called: true, increment: '2' });
  expect(moveOf(odd, [10n])).toMatchObject({ old: '5', new: '11' });
  expect(moveOf(odd, [11n])).toMatchObject({ old: '5', new: '13' });
  expect(moveOf(odd, [4n])).toMatchObject({ old: '5', new: '5', sql: null });
});

test('a statement moves it only forwards, whatever it gave out meanwhile', () => {
  const { sql } = moveOf(sequence({ name: "it's" }), [5n]);
  expect(sql).toBe(
    `select pg_catalog.setval('"s"."it''s"'::pg_catalog.regclass, 6, false) from "s"."it's" ` +
      'where case when is_called then last_value + (1) else last_value end < 6',
  );
});

test('one without a value left is named and left as it is', () => {
  const small = sequence({ most: '100' });
  expect(moveOf(small, [100n])).toMatchObject({ sql: null, new: '1', note: expect.stringMatching(/range/) });
  const round = sequence({ most: '100', cycle: true });
  expect(moveOf(round, [100n]).note).toMatch(/begins anew/);
});
