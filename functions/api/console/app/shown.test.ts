import { expect, test } from 'vitest';
import { differingFields } from './shown.ts';

test('fields that differ are named, however deep; what is left out is null', () => {
  const before = { a: 1, limits: { full: { rows: 5, bytes: null } }, tables: ['x'], old: true };
  const now = { a: 1, limits: { full: { rows: 6 } }, tables: ['x', 'y'], fresh: 'z' };
  expect(differingFields(before, now)).toEqual([
    'limits.full.rows: 6, was 5',
    'tables: ["x","y"], was ["x"]',
    'old: null, was true',
    'fresh: "z", was null',
  ]);
  expect(differingFields(now, now)).toEqual([]);
});
