import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Heap, planChunks } from './chunks.ts';

const limits = { rows: 1000, bytes: 1 << 30, chunks: 20_000 };
const heap = (more: Partial<Heap> = {}): Heap => ({
  schema: 's',
  name: 't',
  blocks: 100,
  estimatedRows: 10_000,
  sizeBytes: 819_200,
  ...more,
});
const ranges = (heaps: readonly Heap[], l = limits) =>
  planChunks(heaps, l).map((c) => [c.heap.name, c.from, c.to]);

test('a table is cut by rows, and its last chunk is open', () => {
  expect(ranges([heap({ blocks: 30, estimatedRows: 3000 })])).toEqual([
    ['t', 0, 10],
    ['t', 10, 20],
    ['t', 20, null],
  ]);
});

test('an empty table and one that was never analyzed have a chunk', () => {
  expect(ranges([heap({ blocks: 0, estimatedRows: -1, sizeBytes: 0 })])).toEqual([['t', 0, null]]);
  expect(ranges([heap({ blocks: 10, estimatedRows: -1 })])).toEqual([['t', 0, null]]);
});

test('a remainder of few blocks belongs to the chunk before', () => {
  expect(ranges([heap({ blocks: 12, estimatedRows: 1200 })])).toEqual([['t', 0, null]]);
});

test('few wide rows are cut by bytes', () => {
  const wide = heap({ blocks: 10, estimatedRows: 1000, sizeBytes: 10 * 2 ** 30 });
  expect(ranges([wide])).toHaveLength(10);
});

test('partitions are cut each for itself, numbered through', () => {
  const chunks = planChunks(
    [heap({ name: 'p1', blocks: 20, estimatedRows: 2000 }), heap({ name: 'p2', blocks: 0 })],
    limits,
  );
  expect(chunks.map((c) => [c.index, c.heap.name, c.from, c.to])).toEqual([
    [0, 'p1', 0, 10],
    [1, 'p1', 10, null],
    [2, 'p2', 0, null],
  ]);
});

test('every block is in exactly one chunk, and the number of chunks is bounded', () => {
  const heaps = fc.array(
    fc.record({
      schema: fc.constant('s'),
      name: fc.string(),
      blocks: fc.integer({ min: 0, max: 10_000_000 }),
      estimatedRows: fc.integer({ min: -1, max: 1_000_000_000 }),
      sizeBytes: fc.integer({ min: 0, max: 1_000_000_000 }),
    }),
    { minLength: 1, maxLength: 5 },
  );
  fc.assert(
    fc.property(heaps, fc.integer({ min: 1000, max: 100_000 }), (all, rows) => {
      const most = 500;
      const chunks = planChunks(all, { rows, bytes: 1 << 20, chunks: most });
      expect(chunks.length).toBeLessThanOrEqual(most + all.length);
      let at = 0;
      for (const each of all) {
        let from = 0;
        do {
          const chunk = chunks[at]!;
          expect(chunk).toMatchObject({ index: at, from, heap: { name: each.name } });
          from = chunk.to ?? Number.POSITIVE_INFINITY;
          at += 1;
        } while (from !== Number.POSITIVE_INFINITY);
      }
      expect(at).toBe(chunks.length);
    }),
  );
});
