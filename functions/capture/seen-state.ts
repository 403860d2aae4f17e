import { hybridTime } from '../../shared/conflict/hybrid-time.ts';
import {
  commonSeen,
  nothingSeen,
  parseSeen,
  type Seen,
  seenText,
  unionSeen,
} from '../../shared/conflict/seen.ts';

/**
 * What this side has seen of the other in one shard, at the place in WAL that the capture has read to. It moves on by
 * progress rows met in the stream only, never by reading the row of today.
 */
export class SeenTracker {
  value: Seen;

  constructor(saved?: string) {
    this.value = saved === undefined ? nothingSeen : parseSeen(saved);
  }

  /** Takes what a progress row says. */
  add(text: string): void {
    this.value = unionSeen(this.value, parseSeen(text));
  }

  toText(): string {
    return seenText(this.value);
  }

  /** The newest hybrid time among what was seen, in microseconds. */
  get time(): bigint {
    return this.value.time;
  }
}

/** What was seen in all shards: what holds for a transaction that concerns several. */
export const seenInAll = (shards: readonly { readonly value: Seen }[]): Seen =>
  shards.map(({ value }) => value).reduce(commonSeen);

/** The newest hybrid time of a stream: a write after another, by way of either side, is never older. */
export class HybridClock {
  #newest: bigint;

  constructor(saved?: string) {
    this.#newest = saved === undefined ? 0n : BigInt(saved);
  }

  /** As the checkpoint keeps it. */
  get newest(): string {
    return this.#newest.toString();
  }

  /**
   * The hybrid time of a transaction, from its commit time and the newest time that its side had seen; in microseconds
   * since 1970. In commit order.
   */
  timeOf(commit: bigint, seen: bigint): bigint {
    this.#newest = hybridTime(commit, seen > this.#newest ? seen : this.#newest);
    return this.#newest;
  }
}
