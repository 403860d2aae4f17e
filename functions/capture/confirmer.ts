import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { Log } from '../../shared/log/log.ts';
import type { Position } from '../../shared/stream/position.ts';
import type { Clock } from '../../shared/task/ports.ts';
import { type Confirmable, type ConfirmableStream, ConfirmLedger } from './confirm.ts';

export type ConfirmerOptions = {
  readonly retention: 'until-applied' | 'until-queued';
  /** Where the stream began, by shard: nothing up to here is sent in it. */
  readonly start: readonly Position[];
  /** What the stored checkpoint says. */
  readonly saved: Pick<ConfirmableStream, 'shards'> | undefined;
  /** Durable before the slot may forget: a crash between the two only repeats. Throws `lease-lost`. */
  readonly saveCheckpoint: (at: ConfirmableStream) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
};

/** The watermarks of all shards, and the destination's WAL positions read after them. */
export type Watermarks = {
  readonly positions: readonly Position[];
  readonly insertLsn: bigint;
  readonly flushLsn: bigint;
};

const CHECKPOINT_MS = 1_000;

/** Says what the slot may forget, after the checkpoint that belongs to it has been stored. */
export class Confirmer {
  readonly #o: ConfirmerOptions;
  readonly #ledgers: readonly ConfirmLedger[];
  /** By shard how far it is. The slot may forget what is behind all of them. */
  readonly #at: (Confirmable | undefined)[] = [];
  #saved: string;
  #triedAt = 0;
  #saving: Promise<void> = Promise.resolve();
  /** Up to here the slot may forget; 0 is "nothing new". */
  confirmed = 0n;

  constructor(options: ConfirmerOptions) {
    this.#o = options;
    const applied = options.retention === 'until-applied';
    this.#ledgers = options.start.map((start) => new ConfirmLedger(applied ? start : undefined));
    this.#saved = JSON.stringify(options.saved?.shards);
  }

  /** A sealed message, in order. One that concerns all shards is on its way in each of them. */
  outstanding(shard: number, message: Parameters<ConfirmLedger['outstanding']>[0]): void {
    this.#ledgers[shard]!.outstanding(message);
  }

  /** The queue has taken everything of a shard up to here. */
  queued(shard: number, last: Position): void {
    if (this.#o.retention !== 'until-queued') return;
    this.#at[shard] = this.#ledgers[shard]!.queued(last) ?? this.#at[shard];
  }

  /** Messages of a shard that are not yet applied (or, with `until-queued`, not yet taken by the queue). */
  size(shard: number): number {
    return this.#ledgers[shard]!.size;
  }

  /** Nothing of a shard is on its way. */
  isIdle(shard: number): boolean {
    return this.#ledgers[shard]!.isIdle;
  }

  /**
   * Takes a reading of the watermarks. `idle` gives what may be confirmed in a shard if nothing is outstanding there:
   * then the server's own position counts, or WAL of others fills its disk. True if there is something new to tell the
   * slot.
   */
  async take(
    { positions, insertLsn, flushLsn }: Watermarks,
    idle: (shard: number) => Confirmable | undefined,
  ): Promise<boolean> {
    for (const [shard, ledger] of this.#ledgers.entries()) {
      const position = positions[shard]!;
      this.#at[shard] = ledger.applied({ position, insertLsn, flushLsn }) ?? this.#at[shard];
    }
    const now = this.#o.clock.now().getTime();
    if (now - this.#triedAt < CHECKPOINT_MS) return false;
    const target = this.#target(idle);
    if (!target || target.lsn <= this.confirmed) return false;
    this.#triedAt = now;
    // Where only foreign WAL passed by, nothing of the checkpoint changes: no write for it.
    const text = JSON.stringify(target.shards);
    if (text !== this.#saved) {
      if (!(await this.#save(target))) return false;
      this.#saved = text;
    }
    this.confirmed = target.lsn;
    return true;
  }

  /** Resolves when no write of this stream can come any more. */
  async settled(): Promise<void> {
    await this.#saving.catch(() => {});
  }

  #target(idle: (shard: number) => Confirmable | undefined): ConfirmableStream | undefined {
    let first: Confirmable | undefined;
    const shards: Pick<Confirmable, 'position' | 'seen'>[] = [];
    for (const shard of this.#ledgers.keys()) {
      this.#at[shard] = idle(shard) ?? this.#at[shard];
      const at = this.#at[shard];
      if (!at) return undefined;
      if (!first || at.lsn < first.lsn) first = at;
      shards.push({ position: at.position, seen: at.seen });
    }
    return first && { lsn: first.lsn, newest: first.newest, shards };
  }

  /** False while the table does not answer: nothing is confirmed meanwhile, the stream goes on. */
  async #save(target: ConfirmableStream): Promise<boolean> {
    this.#saving = this.#o.saveCheckpoint(target);
    try {
      await this.#saving;
      return true;
    } catch (error) {
      if (!(error instanceof PgtwinError) || error.code !== 'table-unavailable') throw error;
      this.#o.log.warn('checkpoint not written, will try again', { error });
      return false;
    }
  }
}
