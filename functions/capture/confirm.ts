import type { Position } from '../../shared/stream/position.ts';

/** A reading of the destination's progress row, with its WAL positions taken after the row (in one statement). */
export type Reading = { readonly position: Position; readonly insertLsn: bigint; readonly flushLsn: bigint };

/** What may be confirmed to the slot as far as one shard is concerned, and what it had seen of the other side there. */
export type Confirmable = {
  readonly lsn: bigint;
  /** Nothing above this position may have been forgotten by the slot. */
  readonly position: Position;
  readonly seen: string;
  readonly newest: string;
};

/** What may be confirmed to the slot: all shards are there, some further on. */
export type ConfirmableStream = {
  readonly lsn: bigint;
  readonly newest: string;
  readonly shards: readonly Pick<Confirmable, 'position' | 'seen'>[];
};

type Sent = {
  readonly last: Position;
  readonly endLsn: bigint;
  readonly seen: string;
  readonly newest: string;
};

/**
 * What the slot may forget (pure). By default: what the destination has applied *and flushed*. A watermark read
 * there counts once the destination's flush position has reached the insert position read after it: an apply
 * transaction can't know its own commit LSN, and with synchronous_commit off a crash there loses the last ones.
 * A crash anywhere here confirms too little, never too much.
 */
export class ConfirmLedger {
  readonly #sent: Sent[] = [];
  #unflushed: { position: Position; until: bigint }[] = [];
  #flushed: Position | undefined;
  #start: Position | undefined;

  /**
   * `start` is the watermark that the stream began at: what is skipped as applied may not be flushed yet. Undefined
   * where the slot does not wait for the destination.
   */
  constructor(start: Position | undefined) {
    this.#start = start;
  }

  /** A message that is on its way (sealed, not yet applied). In order. */
  outstanding(message: Sent): void {
    this.#sent.push(message);
  }

  /** Messages on their way. */
  get size(): number {
    return this.#sent.length;
  }

  /** Nothing is on its way, and all that was applied before is flushed. */
  get isIdle(): boolean {
    return this.#sent.length === 0 && this.#start === undefined;
  }

  /** Takes a reading; returns what may be confirmed now, if that is more than before. */
  applied(reading: Reading): Confirmable | undefined {
    const newest = this.#unflushed.at(-1);
    if (!newest || newest.position < reading.position)
      this.#unflushed.push({ position: reading.position, until: reading.insertLsn });
    let count = 0;
    for (const { position, until } of this.#unflushed) {
      if (until > reading.flushLsn) break;
      this.#flushed = position;
      count += 1;
    }
    this.#unflushed = this.#unflushed.slice(count);
    if (this.#flushed === undefined) return undefined;
    if (this.#start !== undefined && this.#start <= this.#flushed) this.#start = undefined;
    return this.#release(this.#flushed);
  }

  /** With `until-queued` retention: the queue has taken everything up to here. A gap behind it is then fatal. */
  queued(upTo: Position): Confirmable | undefined {
    return this.#release(upTo);
  }

  #release(upTo: Position): Confirmable | undefined {
    let last: Sent | undefined;
    while (this.#sent[0] && this.#sent[0].last <= upTo) last = this.#sent.shift();
    return last && { lsn: last.endLsn, position: last.last, seen: last.seen, newest: last.newest };
  }
}
