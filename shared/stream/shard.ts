import { mark, u16, u32 } from '../postgres/pgoutput.ts';

/**
 * Which shard a row belongs to: by a hash of its key's values as the stream prints them. Both captures of a pair and
 * apply use it, so it may never change, and only types are hashed whose equal values print the same (shard-plan.ts).
 */
const OFFSET = 0x811c9dc5;
const PRIME = 0x01000193;

/** FNV-1a over bytes. */
function hashBytes(b: Uint8Array, start: number, end: number): number {
  let hash = OFFSET;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ b[i]!, PRIME);
  return hash;
}

/** murmur3's finalizer: the last bits of FNV alone are weak. */
function spread(hash: number, shards: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) >>> 0) % shards;
}

/** The shard of all rows of a table (group). `name` is the same for both tasks of a pair. */
export const shardOfName = (name: string, shards: number): number => shardOfKey([name], shards);

/** The shard of a row, by its key's values as text, in any order: the sides may have them in different ones. */
export function shardOfKey(key: readonly string[], shards: number): number {
  let sum = 0;
  for (const value of key) {
    const bytes = Buffer.from(value);
    sum = (sum + hashBytes(bytes, 0, bytes.length)) | 0;
  }
  return spread(sum, shards);
}

/**
 * The same for a tuple of the stream (its column count is at `at`); `isKey` by column. A part of the key that was not
 * sent, since it is large and did not change, is taken from the old tuple at `oldAt`.
 */
export function shardOfTuple(
  b: Buffer,
  at: number,
  isKey: readonly boolean[],
  shards: number,
  oldAt = 0,
): number {
  const columns = Math.min(u16(b, at), isKey.length);
  let sum = 0;
  let p = at + 2;
  for (let i = 0; i < columns; i++) {
    if (b[p] === mark.text) {
      const end = p + 5 + u32(b, p + 1);
      if (isKey[i]) sum = (sum + hashBytes(b, p + 5, end)) | 0;
      p = end;
      continue;
    }
    if (isKey[i] && b[p] === mark.unchanged && oldAt > 0) sum = (sum + hashOfColumn(b, oldAt, i)) | 0;
    p += 1;
  }
  return spread(sum, shards);
}

function hashOfColumn(b: Buffer, at: number, column: number): number {
  let p = at + 2;
  for (let i = 0; i < column; i++) p += b[p] === mark.text ? 5 + u32(b, p + 1) : 1;
  return b[p] === mark.text ? hashBytes(b, p + 5, p + 5 + u32(b, p + 1)) : 0;
}
