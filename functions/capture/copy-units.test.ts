import { expect, test } from 'vitest';
import type { PlannedChunk } from '../../shared/copy/chunks.ts';
import { type CopyTable, unitsOf } from './copy-units.ts';

const tableOf = (name: string, chunks: number, bytes: number, columns = ['id']): CopyTable => ({
  table: { schema: 's', name },
  relation: `"s"."${name}"`,
  chunks: Array.from(
    { length: chunks },
    (_, index): PlannedChunk => ({
      heap: { schema: 's', name },
      from: index * 10,
      to: index === chunks - 1 ? null : (index + 1) * 10,
      index,
      estimatedRows: 100,
      estimatedBytes: bytes,
    }),
  ),
  columns,
  into: columns,
  where: undefined,
  source: undefined,
  format: 'binary',
  merge: false,
  key: null,
  primaryKey: [],
});
const lengths = (table: CopyTable, lanes: number) => unitsOf([table], lanes).map(({ items }) => items.length);

test('chunks of one table share messages, fewer towards the end, each chunk once', () => {
  const table = tableOf('big', 21, 50 << 20);
  const units = unitsOf([table], 4);
  expect(units.map(({ items }) => items.length)).toEqual([
    2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
  ]);
  expect(units.flatMap(({ items }) => items.map(({ chunk }) => chunk))).toEqual(
    table.chunks.map((c) => c.index),
  );
});

test('a message asks for a bounded number of chunks, bytes, and characters', () => {
  expect(Math.max(...lengths(tableOf('long', 1000, 1 << 20), 2))).toBe(20);
  expect(Math.max(...lengths(tableOf('heavy', 100, 400 << 20), 1))).toBe(2);
  const wide = tableOf(
    'wide',
    400,
    1 << 20,
    Array.from({ length: 1600 }, (_, n) => `c${n}`.padEnd(60, '_')),
  );
  for (const { items } of unitsOf([wide], 1)) expect(JSON.stringify(items).length).toBeLessThan(250_000);
});

test('small tables share a message, behind the large ones', () => {
  const units = unitsOf([tableOf('a', 1, 10), tableOf('big', 4, 9 << 20), tableOf('b', 1, 10)], 4);
  expect(units.at(-1)!.items.map(({ table }) => table.name)).toEqual(['a', 'b']);
  expect(units[0]!.items[0]!.table.name).toBe('big');
});
