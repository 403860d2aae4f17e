import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import type { Side } from '../../shared/task/schema.ts';

const EVERY_MS = 50;
const LOOK_MS = 4;
/** What live figures are about: the last seconds. */
const RECENT = 60;

/**
 * Measures latency with marker rows: from the moment a commit on one side has been answered until the row is visible
 * on the other, by one clock, that of this process. Markers are sent by the clock, also while those before them are
 * still under way: a stall counts for every marker that it holds up.
 */
export class LatencyProbe {
  readonly #from: Side;
  readonly #source: pg.Client;
  readonly #destination: pg.Client;
  readonly #committed: { readonly number: number; readonly at: number }[] = [];
  readonly #samples: number[] = [];
  #number = 0;

  constructor(options: { from: Side; source: pg.Client; destination: pg.Client }) {
    this.#from = options.from;
    this.#source = options.source;
    this.#destination = options.destination;
  }

  /** Sends markers until `over`, and returns when the last one has arrived, or at once when `stop` says so. */
  async run(over: AbortSignal, stop: AbortSignal): Promise<void> {
    const sending = this.#send(AbortSignal.any([over, stop]));
    try {
      while (!stop.aborted && (!over.aborted || this.#committed.length > 0)) {
        await this.#look();
        await pause(LOOK_MS);
      }
    } finally {
      await sending;
    }
  }

  /** One marker behind everything that was committed before; resolves when it has arrived. */
  async pass(signal: AbortSignal): Promise<void> {
    const number = await this.#commit();
    while ((await this.#newest()) < number) await pause(LOOK_MS, undefined, { signal });
  }

  get samples(): readonly number[] {
    return this.#samples;
  }
  get recent(): readonly number[] {
    return this.#samples.slice(-RECENT);
  }

  async #send(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const number = await this.#commit();
      this.#committed.push({ number, at: performance.now() });
      await pause(EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #commit(): Promise<number> {
    this.#number += 1;
    const number = this.#number;
    await this.#source.query({
      name: 'marker',
      text: /* sql */ `insert into shop.marker (side, number) values ($1, $2)`,
      values: [this.#from, number],
    });
    return number;
  }

  async #look(): Promise<void> {
    const newest = await this.#newest();
    const now = performance.now();
    while (this.#committed[0] && this.#committed[0].number <= newest)
      this.#samples.push(now - this.#committed.shift()!.at);
  }

  async #newest(): Promise<number> {
    const text = /* sql */ `select max(number) as newest from shop.marker where side = $1`;
    const { rows } = await this.#destination.query<{ newest: number | null }>({
      ...{ name: 'newest-marker', text },
      values: [this.#from],
    });
    return rows[0]?.newest ?? 0;
  }
}

/** The value that `share` of the samples do not exceed; undefined without samples. */
export function percentile(samples: readonly number[], share: number): number | undefined {
  const sorted = samples.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)];
}
