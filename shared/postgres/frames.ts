import { PgtwinError } from '../errors/pgtwin-error.ts';

const HEADER = 5; // type, then a length that counts itself (manual, 53.7)
const LARGEST = 0x4000_0000;

/**
 * Cuts a byte stream of PostgreSQL protocol messages into frames. Frames of the wanted type are handed up in place
 * (their content, without the header); the bytes of all others go on, whole, to `others`.
 */
export class FrameSplitter {
  readonly #type: number;
  readonly #wanted: (buffer: Buffer, start: number, end: number) => void;
  readonly #others: (bytes: Buffer) => void;
  /** A frame that has not arrived whole, and how much of `#tail` is filled. */
  #tail: Buffer | undefined;
  #filled = 0;

  constructor(
    type: number,
    wanted: (b: Buffer, start: number, end: number) => void,
    others: (b: Buffer) => void,
  ) {
    this.#type = type;
    this.#wanted = wanted;
    this.#others = others;
  }

  push(chunk: Buffer): void {
    let at = 0;
    if (this.#tail) at = this.#complete(chunk);
    while (at + HEADER <= chunk.length) {
      const size = 1 + lengthAt(chunk, at);
      if (at + size > chunk.length) break;
      this.#deliver(chunk, at, at + size);
      at += size;
    }
    if (at < chunk.length) this.#keep(chunk, at);
  }

  #deliver(b: Buffer, start: number, end: number): void {
    if (b[start] === this.#type) this.#wanted(b, start + HEADER, end);
    else this.#others(b.subarray(start, end));
  }

  /** Keeps the start of a frame; the space is for the whole frame if its header is there already. */
  #keep(chunk: Buffer, at: number): void {
    const have = chunk.length - at;
    this.#tail = Buffer.allocUnsafe(have >= HEADER ? 1 + lengthAt(chunk, at) : HEADER);
    chunk.copy(this.#tail, 0, at);
    this.#filled = have;
  }

  /** Fills the kept frame from the chunk; returns where in the chunk the next frame starts. */
  #complete(chunk: Buffer): number {
    let at = 0;
    let tail = this.#tail!;
    if (this.#filled < HEADER) {
      const take = Math.min(HEADER - this.#filled, chunk.length);
      chunk.copy(tail, this.#filled, 0, take);
      this.#filled += take;
      at = take;
      if (this.#filled < HEADER) return at;
    }
    const size = 1 + lengthAt(tail, 0);
    if (tail.length < size) {
      const grown = Buffer.allocUnsafe(size);
      tail.copy(grown, 0, 0, this.#filled);
      tail = grown;
      this.#tail = grown;
    }
    const take = Math.min(size - this.#filled, chunk.length - at);
    chunk.copy(tail, this.#filled, at, at + take);
    this.#filled += take;
    at += take;
    if (this.#filled < size) return at;
    this.#tail = undefined;
    this.#filled = 0;
    this.#deliver(tail, 0, size);
    return at;
  }
}

function lengthAt(b: Buffer, at: number): number {
  const length = b.readUInt32BE(at + 1);
  if (length < 4 || length > LARGEST)
    throw new PgtwinError('wal-message-malformed', { detail: `A protocol frame has the length ${length}.` });
  return length;
}
