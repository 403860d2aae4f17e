import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addIncrement } from './decimal.ts';

test('increments of numbers far beyond a double add up exactly', () => {
  expect(addIncrement('20', '10', '13')).toBe('23');
  expect(addIncrement('0.10', '0.1', '0.3')).toBe('0.30');
  expect(addIncrement('1', '3', '1')).toBe('-1');
  expect(addIncrement('-0.05', '1.00', '1.01')).toBe('-0.04');
  expect(addIncrement('99999999999999999999999.9', '0', '0.1')).toBe('100000000000000000000000.0');
});

test('what is no plain number has no increment', () => {
  for (const odd of ['NaN', 'Infinity', '-Infinity', '1e+20', '', ' 1']) {
    expect(addIncrement(odd, '1', '2')).toBeNull();
    expect(addIncrement('1', odd, '2')).toBeNull();
    expect(addIncrement('1', '2', odd)).toBeNull();
  }
});

test('any order of increments gives the same sum', () => {
  const cents = fc.integer({ min: -1_000_000, max: 1_000_000 });
  const text = (value: number) =>
    `${value < 0 ? '-' : ''}${Math.floor(Math.abs(value) / 100)}.${String(Math.abs(value) % 100).padStart(2, '0')}`;
  fc.assert(
    fc.property(cents, fc.array(cents, { maxLength: 8 }), (start, increments) => {
      const sum = increments.reduce((value, by) => addIncrement(value, text(0), text(by))!, text(start));
      expect(sum.replace(/^-(0\.00)$/, '$1')).toBe(text(start + increments.reduce((all, by) => all + by, 0)));
    }),
  );
});
