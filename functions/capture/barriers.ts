import type { Position } from '../../shared/stream/position.ts';

type Gate = { readonly until: readonly Position[]; readonly open: () => void };

/** Gates before and behind transactions that concern several shards: they open when apply has come so far. */
export class Barriers {
  #closed: Gate[] = [];

  /** Opens when every shard's watermark has reached its position. */
  gate(until: readonly Position[]): Promise<void> {
    return new Promise((open) => this.#closed.push({ until, open }));
  }

  /** Takes the watermarks. */
  reached(watermarks: readonly Position[]): void {
    if (this.#closed.length === 0) return;
    const isReached = ({ until }: Gate) => until.every((position, shard) => watermarks[shard]! >= position);
    const [opened, closed] = [
      this.#closed.filter(isReached),
      this.#closed.filter((each) => !isReached(each)),
    ];
    this.#closed = closed;
    for (const { open } of opened) open();
  }

  get isWaiting(): boolean {
    return this.#closed.length > 0;
  }

  /** Lets go of everything: the epoch has ended. */
  end(): void {
    for (const { open } of this.#closed) open();
    this.#closed = [];
  }
}
