import type { Text } from '../../shared/etl/plan.ts';
import { mark, u32 } from '../../shared/postgres/pgoutput.ts';

/** Writes tuples behind the bytes of a batch; their offsets count from the start of those. */
export class TupleWriter {
  readonly #from: Buffer;
  #bytes = Buffer.allocUnsafe(16_384);
  #length = 0;

  constructor(from: Buffer) {
    this.#from = from;
  }

  /** Values of the batch, by the offsets of all and the places of those that are taken. */
  project(refs: readonly number[], places: readonly number[]): number {
    const b = this.#from;
    const start = this.#start(places.length);
    for (const place of places) {
      const ref = refs[place]!;
      const size = b[ref] === mark.text ? 5 + u32(b, ref + 1) : 1;
      this.#reserve(size);
      b.copy(this.#bytes, this.#length, ref, ref + size);
      this.#length += size;
    }
    return start;
  }

  /** Values given as text. */
  write(values: readonly Text[]): number {
    const start = this.#start(values.length);
    for (const value of values) {
      if (typeof value !== 'string') {
        this.#reserve(1);
        this.#bytes[this.#length++] = value === null ? mark.null : mark.unchanged;
        continue;
      }
      const size = Buffer.byteLength(value);
      this.#reserve(5 + size);
      this.#bytes[this.#length] = mark.text;
      this.#bytes.writeUInt32BE(size, this.#length + 1);
      this.#bytes.write(value, this.#length + 5);
      this.#length += 5 + size;
    }
    return start;
  }

  bytes(): Buffer {
    return Buffer.concat([this.#from, this.#bytes.subarray(0, this.#length)]);
  }

  #start(columns: number): number {
    const start = this.#from.length + this.#length;
    this.#reserve(2);
    this.#length = this.#bytes.writeUInt16BE(columns, this.#length);
    return start;
  }

  #reserve(size: number): void {
    if (this.#length + size <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#length + size, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}
