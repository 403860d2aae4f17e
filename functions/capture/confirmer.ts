import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { Log } from '../../shared/log/log.ts';
import type { Position } from '../../shared/stream/position.ts';
import type { Clock } from '../../shared/task/ports.ts';
import { type Confirmable, ConfirmLedger, type Reading } from './confirm.ts';

export type ConfirmerOptions = {
  readonly retention: 'until-applied' | 'until-queued';
  /** Where the stream began: nothing up to here is sent in it. */
  readonly start: Position;
  /** What the stored checkpoint says. */
  readonly saved: { readonly position: string | null; readonly seen: string } | undefined;
  /** Durable before the slot may forget: a crash between the two only repeats. Throws `lease-lost`. */
  readonly saveCheckpoint: (at: Confirmable) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
};

const CHECKPOINT_MS = 1_000;

/** Says what the slot may forget, after the checkpoint that belongs to it has been stored. */
export class Confirmer {
  readonly #o: ConfirmerOptions;
  readonly #ledger: ConfirmLedger;
  #pending: Confirmable | undefined;
  #savedPosition: string | null;
  #savedSeen: string | undefined;
  #triedAt = 0;
  #saving: Promise<void> = Promise.resolve();
  /** Up to here the slot may forget; 0 is "nothing new". */
  confirmed = 0n;

  constructor(options: ConfirmerOptions) {
    this.#o = options;
    this.#ledger = new ConfirmLedger(options.retention === 'until-applied' ? options.start : undefined);
    this.#savedPosition = options.saved?.position ?? null;
    this.#savedSeen = options.saved?.seen;
  }

  /** A sealed message, in order. */
  outstanding(message: Parameters<ConfirmLedger['outstanding']>[0]): void {
    this.#ledger.outstanding(message);
  }

  /** The queue has taken everything up to here. */
  queued(last: Position): void {
    if (this.#o.retention === 'until-queued') this.#pending = this.#ledger.queued(last) ?? this.#pending;
  }

  /** Messages not yet applied (or, with `until-queued`, not yet taken by the queue). */
  get size(): number {
    return this.#ledger.size;
  }

  get isIdle(): boolean {
    return this.#ledger.isIdle;
  }

  /**
   * Takes a reading of the watermark. `idle` gives what may be confirmed if nothing is outstanding: then the server's
   * own position counts, or WAL of others fills its disk. True if there is something new to tell the slot.
   */
  async take(reading: Reading, idle: () => Confirmable | undefined): Promise<boolean> {
    this.#pending = this.#ledger.applied(reading) ?? this.#pending;
    const now = this.#o.clock.now().getTime();
    if (now - this.#triedAt < CHECKPOINT_MS) return false;
    const target = idle() ?? this.#pending;
    if (!target || target.lsn <= this.confirmed) return false;
    this.#triedAt = now;
    // Where only foreign WAL passed by, nothing of the checkpoint changes: no write for it.
    if (target.position !== this.#savedPosition || target.seen !== this.#savedSeen) {
      if (!(await this.#save(target))) return false;
    }
    if (this.#pending && this.#pending.lsn <= target.lsn) this.#pending = undefined;
    this.confirmed = target.lsn;
    return true;
  }

  /** Resolves when no write of this stream can come any more. */
  async settled(): Promise<void> {
    await this.#saving.catch(() => {});
  }

  /** False while the table does not answer: nothing is confirmed meanwhile, the stream goes on. */
  async #save(target: Confirmable): Promise<boolean> {
    this.#saving = this.#o.saveCheckpoint(target);
    try {
      await this.#saving;
    } catch (error) {
      if (!(error instanceof PgtwinError) || error.code !== 'table-unavailable') throw error;
      this.#o.log.warn('checkpoint not written, will try again', { error });
      return false;
    }
    this.#savedPosition = target.position;
    this.#savedSeen = target.seen;
    return true;
  }
}
