import type { IncrementalLimits } from '../../shared/task/load-limits.ts';
import { Pace } from '../../shared/task/pace.ts';
import type { Clock } from '../../shared/task/ports.ts';

/** Messages of so many milliseconds' worth: an even flow at little cost. */
const PIECE_MS = 250;

/**
 * Holds back what a task sends, so that its source is read no faster than the limits allow: what has not been sent
 * stays in the outbox, a full outbox pauses the socket, and the slot keeps the rest.
 */
export class SendPace {
  readonly #pace: Pace<'rows' | 'bytes'>;

  constructor(clock: Clock) {
    const now = () => clock.now().getTime();
    this.#pace = new Pace(
      { rows: null, bytes: null },
      { now, sleep: (ms, signal) => clock.sleep(ms, signal) },
    );
  }

  /** New limits; safe to call as often as the task is looked at. */
  set(limits: IncrementalLimits | undefined): void {
    const rates = { rows: limits?.rowsPerSecond ?? null, bytes: limits?.bytesPerSecond ?? null };
    const now = this.#pace.rates;
    if (rates.rows !== now.rows || rates.bytes !== now.bytes) this.#pace.set(rates);
  }

  /** Returns when what was sent before is paid for, then counts this. */
  async admit(rows: number, bytes: number, signal: AbortSignal): Promise<void> {
    await this.#pace.settle(signal);
    this.#pace.spend({ rows, bytes });
  }

  /** The message under construction is as large as the flow wants it. */
  isEnough(rows: number, bytes: number): boolean {
    return this.#pace.isMoreThan(PIECE_MS, { rows, bytes });
  }
}
