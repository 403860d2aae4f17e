import { hybridTime } from '../../shared/conflict/hybrid-time.ts';
import { nothingSeen, parseSeen, type Seen, seenText, unionSeen } from '../../shared/conflict/seen.ts';

/**
 * What this side has seen of the other at the place in WAL that the capture has read to, and the newest hybrid time.
 * It moves on by progress rows met in the stream only, never by reading the row of today.
 */
export class SeenTracker {
  #seen: Seen;
  #newest: bigint;

  constructor(saved: { seen: string; newest: string } | undefined) {
    this.#seen = saved ? parseSeen(saved.seen) : nothingSeen;
    this.#newest = saved ? BigInt(saved.newest) : 0n;
  }

  /** Takes what a progress row says. */
  add(text: string): void {
    this.#seen = unionSeen(this.#seen, parseSeen(text));
  }

  toText(): string {
    return seenText(this.#seen);
  }

  /** The newest hybrid time, as the checkpoint keeps it. */
  get newest(): string {
    return this.#newest.toString();
  }

  /** The hybrid time of a transaction, from its commit time; both in microseconds since 1970. In commit order. */
  timeOf(commit: bigint): bigint {
    const newest = this.#seen.time > this.#newest ? this.#seen.time : this.#newest;
    this.#newest = hybridTime(commit, newest);
    return this.#newest;
  }
}
