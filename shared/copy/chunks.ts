import type { TableName } from '../task/schema.ts';

/** One relation that holds rows: an ordinary table, or a leaf of a partitioned one. Sizes are those of now. */
export type Heap = TableName & {
  readonly blocks: number;
  /** Planner's estimate; negative: never analyzed. */
  readonly estimatedRows: number;
  /** With TOAST, without indexes. */
  readonly sizeBytes: number;
};

/** Rows whose ctid is in blocks `from` (inclusive) to `to` (exclusive; null: to the end). */
export type Range = { readonly heap: TableName; readonly from: number; readonly to: number | null };
export type PlannedChunk = Range & {
  /** Number within the table, over all its heaps. */
  readonly index: number;
  readonly estimatedRows: number;
  readonly estimatedBytes: number;
};

export type ChunkLimits = {
  readonly rows: number;
  readonly bytes: number;
  /** At most so many chunks of a table: larger ones get larger chunks. */
  readonly chunks: number;
};
/** A chunk must end well within a function's 15 minutes, and its transaction must not grow without bound. */
export const CHUNK_BYTES = 1 << 30;
export const MOST_CHUNKS = 20_000;
/** What a table that was never analyzed is taken for: rows of some 100 bytes. */
const ROWS_PER_BLOCK = 80;

/**
 * Splits a table by block ranges (TID range scans, PostgreSQL 14 and newer). The last chunk of each heap is open, so
 * that no row is missed whatever the size was at planning. A table always has a chunk, also when it is empty.
 */
export function planChunks(heaps: readonly Heap[], limits: ChunkLimits): PlannedChunk[] {
  const wanted = heaps.map((heap) => ({ heap, step: blocksPerChunk(heap, limits) }));
  const total = wanted.reduce((sum, { heap, step }) => sum + Math.max(1, Math.ceil(heap.blocks / step)), 0);
  const stretch = Math.max(1, total / limits.chunks);
  const chunks: PlannedChunk[] = [];
  for (const { heap, step } of wanted) {
    const blocks = Math.ceil(step * stretch);
    const count = Math.max(1, Math.ceil(heap.blocks / blocks));
    const name = { schema: heap.schema, name: heap.name };
    for (let n = 0; n < count; n++) {
      const share =
        heap.blocks === 0 ? 1 : (Math.min(heap.blocks, (n + 1) * blocks) - n * blocks) / heap.blocks;
      chunks.push({
        heap: name,
        from: n * blocks,
        to: n === count - 1 ? null : (n + 1) * blocks,
        index: chunks.length,
        estimatedRows: Math.round(rowsOf(heap) * share),
        estimatedBytes: Math.round(heap.sizeBytes * share),
      });
    }
  }
  return chunks;
}

const rowsOf = (heap: Heap): number =>
  heap.estimatedRows >= 0 ? heap.estimatedRows : heap.blocks * ROWS_PER_BLOCK;

function blocksPerChunk(heap: Heap, limits: ChunkLimits): number {
  if (heap.blocks === 0) return 1;
  const byRows = limits.rows / Math.max(1, rowsOf(heap) / heap.blocks);
  const byBytes = limits.bytes / Math.max(1, heap.sizeBytes / heap.blocks);
  const blocks = Math.max(1, Math.floor(Math.min(byRows, byBytes)));
  // A last chunk of a few blocks would not be worth its transaction.
  return heap.blocks <= blocks * 1.25 ? heap.blocks : blocks;
}
