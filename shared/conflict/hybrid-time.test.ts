import { expect, test } from 'vitest';
import { hybridTime } from './hybrid-time.ts';

test('a write that came after another is never older, however the clock stands', () => {
  expect(hybridTime(100n, 50n)).toBe(100n);
  expect(hybridTime(100n, 100n)).toBe(101n);
  expect(hybridTime(40n, 100n)).toBe(101n);
});
