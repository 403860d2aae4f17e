/** A clock that can wait; `now` in milliseconds. */
export type PaceClock = {
  readonly now: () => number;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
};

type Rates<Unit extends string> = Readonly<Record<Unit, number | null>>;

/** So long at most is waited without a look at the limits: they may have been changed. */
const SLICE_MS = 250;
/** What was not used in a pause may be made up for, up to this. */
const BURST_MS = 250;

/**
 * Holds work to so much per second, in one unit or several (the strictest counts). A piece may go when those before
 * it are paid for, whatever its size: so a piece larger than a second's worth is no special case, and over time the
 * rate is exact. Limits may be changed at any time; what is owed then is paid at the new rate, if that is faster.
 */
export class Pace<Unit extends string> {
  readonly #clock: PaceClock;
  #rates: Rates<Unit>;
  /** When each unit is paid for, in milliseconds of the clock. */
  readonly #paidAt = new Map<Unit, number>();

  readonly #burstMs: number;

  constructor(rates: Rates<Unit>, clock: PaceClock, burstMs = BURST_MS) {
    this.#rates = rates;
    this.#clock = clock;
    this.#burstMs = burstMs;
  }

  /**
   * From here on time counts for what comes: what passes before the first piece is not lost. Nor are `unusedMs` before,
   * in which nobody else had what this may take.
   */
  begin(unusedMs = 0): void {
    const from = this.#clock.now() - Math.min(Math.max(unusedMs, 0), this.#burstMs);
    for (const unit of Object.keys(this.#rates) as Unit[])
      this.#paidAt.set(unit, Math.max(this.#paidAt.get(unit) ?? from, from));
  }

  /** Milliseconds since all that went was paid for; undefined where nothing went, or is still owed. */
  get unusedMs(): number | undefined {
    const paid = Math.max(...this.#paidAt.values());
    const unused = this.#clock.now() - paid;
    return Number.isFinite(unused) && unused >= 0 ? unused : undefined;
  }

  get rates(): Rates<Unit> {
    return this.#rates;
  }

  get isLimited(): boolean {
    return Object.values(this.#rates).some((rate) => rate !== null);
  }

  set(rates: Rates<Unit>): void {
    const now = this.#clock.now();
    for (const unit of Object.keys(rates) as Unit[]) {
      const [before, after] = [this.#rates[unit], rates[unit]];
      const owed = (this.#paidAt.get(unit) ?? now) - now;
      if (after === null || before === null) this.#paidAt.delete(unit);
      else if (owed > 0 && after > before) this.#paidAt.set(unit, now + (owed * before) / after);
    }
    this.#rates = rates;
  }

  /** Milliseconds until the next piece may go. */
  waitMs(): number {
    const now = this.#clock.now();
    return Math.max(0, ...[...this.#paidAt.values()].map((at) => at - now));
  }

  spend(amounts: Readonly<Partial<Record<Unit, number>>>): void {
    const now = this.#clock.now();
    for (const [unit, amount] of Object.entries(amounts) as [Unit, number][]) {
      const rate = this.#rates[unit];
      if (rate === null) continue;
      // The first piece has nothing to make up for.
      const from = Math.max(this.#paidAt.get(unit) ?? now, now - this.#burstMs);
      this.#paidAt.set(unit, from + (amount / rate) * 1000);
    }
  }

  /** Waits until all that went is paid for, or the signal aborts. */
  async settle(signal?: AbortSignal): Promise<void> {
    for (let ms = this.waitMs(); ms > 0 && !signal?.aborted; ms = this.waitMs())
      await this.#clock.sleep(Math.min(ms, SLICE_MS), signal);
  }

  /** So long, in milliseconds, so much takes at the rates of now. */
  worthMs(amounts: Readonly<Partial<Record<Unit, number>>>): number {
    const each = (Object.entries(amounts) as [Unit, number][]).map(([unit, amount]) => {
      const rate = this.#rates[unit];
      return rate === null ? 0 : (amount / rate) * 1000;
    });
    return Math.max(0, ...each);
  }

  /** Whether so much is more than `ms` milliseconds' worth: pieces of about that size make an even flow. */
  isMoreThan(ms: number, amounts: Readonly<Partial<Record<Unit, number>>>): boolean {
    return this.worthMs(amounts) >= ms;
  }
}
