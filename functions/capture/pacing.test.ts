import { expect, test } from 'vitest';
import { Pacing } from './pacing.ts';

test('a flood is slowed down, a trickle and what follows on a flood are not', () => {
  const pacing = new Pacing();
  const feed = (from: number, to: number, perMs: number) =>
    Array.from({ length: to - from }, (_, n) => pacing.take(perMs, from + n));
  expect(feed(0, 100, 12)).not.toContain(true);
  expect(feed(100, 110, 200).slice(5)).not.toContain(false);
  expect(feed(110, 200, 12).slice(9)).not.toContain(true);
  // Nothing for a while, then one commit.
  expect(feed(200, 210, 200).at(-1)).toBe(true);
  expect(pacing.take(6, 1_000)).toBe(false);
});
