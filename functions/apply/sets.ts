import { mark, u32, valueAt } from '../../shared/postgres/pgoutput.ts';

const TEXT_OID = 25;
const HEADER = 20;
const SHORT = 48;

/**
 * One column of a set-based statement: an array of text in PostgreSQL's binary format (a length and bytes for each
 * element), which is how pgoutput has the values too, so they are copied without ever becoming strings.
 */
export class TextArray {
  #bytes: Buffer;
  #length = HEADER;
  #count = 0;
  #nulls = false;

  constructor(expectedBytes = 4096) {
    this.#bytes = Buffer.allocUnsafe(Math.max(256, expectedBytes));
  }

  get count(): number {
    return this.#count;
  }

  /** Appends the value whose kind byte is at `ref`. */
  append(b: Buffer, ref: number): void {
    this.#count += 1;
    if (b[ref] !== mark.text) {
      this.#nulls = true;
      const at = this.#reserve(4);
      this.#bytes.fill(0xff, at, at + 4);
      return;
    }
    const size = 4 + u32(b, ref + 1);
    const at = this.#reserve(size);
    const to = this.#bytes;
    if (size > SHORT) b.copy(to, at, ref + 1, ref + 1 + size);
    else for (let i = 0; i < size; i++) to[at + i] = b[ref + 1 + i]!;
  }

  /** The parameter: `ndim, has nulls, element type, length, lower bound`, then the elements (array_recv). */
  parameter(): Buffer {
    const b = this.#bytes;
    b.writeInt32BE(1, 0);
    b.writeInt32BE(this.#nulls ? 1 : 0, 4);
    b.writeInt32BE(TEXT_OID, 8);
    b.writeInt32BE(this.#count, 12);
    b.writeInt32BE(1, 16);
    return b.subarray(0, this.#length);
  }

  #reserve(size: number): number {
    const at = this.#length;
    this.#length += size;
    if (this.#length > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.#length, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, at);
      this.#bytes = grown;
    }
    return at;
  }
}

/** The same as an array literal in text, for types whose cast from text is not their input function. */
export class LiteralArray {
  readonly #parts: string[] = [];

  append(b: Buffer, ref: number): void {
    const value = valueAt(b, ref);
    this.#parts.push(typeof value === 'string' ? `"${value.replace(/["\\]/g, '\\$&')}"` : 'NULL');
  }

  parameter(): string {
    return `{${this.#parts.join(',')}}`;
  }
}
