import fc from 'fast-check';
import { expect, test } from 'vitest';
import { smaller } from './pieces.ts';

type Piece = Parameters<typeof smaller>[0];

test('what fails again and again comes down to each transaction by itself, strictly, in order', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 60 }), (sizes) => {
      const to = sizes.map((_, n) => sizes.slice(0, n + 1).reduce((sum, size) => sum + size, 0));
      const transactions = sizes.map((size, n) => ({ from: to[n]! - size, to: to[n]! }));
      const work: Piece[] = [{ from: 0, to: transactions.length, mode: 'sets' }];
      const ends: Piece[] = [];
      let attempts = 0;
      for (let piece = work.shift(); piece; piece = work.shift()) {
        attempts += 1;
        if (piece.mode === 'strict') ends.push(piece);
        else work.unshift(...smaller(piece, transactions));
      }
      expect(ends).toEqual(transactions.map((_, n) => ({ from: n, to: n + 1, mode: 'strict' })));
      expect(attempts).toBeLessThanOrEqual(6 * transactions.length);
    }),
  );
});

test('few changes are replayed together before each transaction is tried alone', () => {
  const transactions = Array.from({ length: 10 }, (_, n) => ({ from: 2 * n, to: 2 * n + 2 }));
  expect(smaller({ from: 0, to: 10, mode: 'sets' }, transactions)).toEqual([
    { from: 0, to: 10, mode: 'exact' },
  ]);
});
