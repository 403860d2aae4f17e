import { recordTag } from './message.ts';
import type { Position } from './position.ts';

const FIRST_BYTES = 64 * 1024;

/** Records of one message under construction: bytes copied behind each other, no object per row. */
export class RecordBuffer {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Appends one record; `source` may be overwritten by its owner afterwards. */
  append(source: Buffer, start: number, end: number): void {
    const size = end - start;
    const at = this.#reserve(4 + size);
    const bytes = this.#bytes;
    bytes[at] = size >>> 24;
    bytes[at + 1] = size >>> 16;
    bytes[at + 2] = size >>> 8;
    bytes[at + 3] = size;
    source.copy(bytes, at + 4, start, end);
  }

  /** What the sender had seen of the other side: counts for the transactions behind it. */
  appendSeen(text: string): void {
    const record = Buffer.from(`s${text}`, 'latin1');
    this.append(record, 0, record.length);
  }

  /** Changes that were left out here: their indexes are used up. */
  appendSkipped(count: number): void {
    const at = this.#reserve(9);
    const bytes = this.#bytes;
    bytes[at] = bytes[at + 1] = bytes[at + 2] = 0;
    bytes[at + 3] = 5;
    bytes[at + 4] = recordTag.skipped;
    bytes[at + 5] = count >>> 24;
    bytes[at + 6] = count >>> 16;
    bytes[at + 7] = count >>> 8;
    bytes[at + 8] = count;
  }

  /** The records so far, valid until the next append or clear. */
  view(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Cuts off the records from `from` on and gives them as a copy. */
  cut(from: number): Buffer {
    const tail = Buffer.from(this.#bytes.subarray(from, this.#length));
    this.#length = from;
    return tail;
  }

  appendRaw(records: Buffer): void {
    const at = this.#reserve(records.length);
    records.copy(this.#bytes, at);
  }

  clear(): void {
    this.#length = 0;
    // One large transaction shall not hold its memory for ever.
    if (this.#bytes.length > 64 * 1024 * 1024) this.#bytes = Buffer.allocUnsafe(FIRST_BYTES);
  }

  #reserve(size: number): number {
    const at = this.#length;
    const needed = at + size;
    if (needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, at);
      this.#bytes = grown;
    }
    this.#length = needed;
    return at;
  }
}

/** What a sealed message says of its transactions. */
export type Span = { first: Position; last: Position; endLsn: bigint; transactions: number; changes: number };
