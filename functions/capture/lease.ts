import { z } from 'zod';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { Clock } from '../../shared/task/ports.ts';
import type { Table } from '../../shared/task/table.ts';

const stored = z.object({
  owner: z.string().nullable(),
  fence: z.number().int(),
  epoch: z.number().int(),
});

export type LeaseTimes = { readonly ttlMs: number; readonly renewMs: number };
export const leaseTimes: LeaseTimes = { ttlMs: 10_000, renewMs: 3_000 };

/**
 * The right to read a task's slot: one owner at a time. Expiry needs no common clock: a contender takes over when
 * the stored version has not moved for the whole time-to-live on its own clock. The fence rises with each owner and
 * the epoch with each replication connection; every write is conditional, so a former owner finds out.
 */
export class Lease {
  readonly taskId: string;
  readonly fence: number;
  readonly #table: Table;
  readonly #owner: string;
  readonly #times: LeaseTimes;
  readonly #clock: Clock;
  readonly #lost = new AbortController();
  #version: number;
  #epoch: number;
  #renewed: number;
  #writing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(o: {
    table: Table;
    taskId: string;
    owner: string;
    times: LeaseTimes;
    clock: Clock;
    version: number;
    fence: number;
    epoch: number;
  }) {
    this.#table = o.table;
    this.taskId = o.taskId;
    this.#owner = o.owner;
    this.#times = o.times;
    this.#clock = o.clock;
    this.#version = o.version;
    this.fence = o.fence;
    this.#epoch = o.epoch;
    this.#renewed = o.clock.now().getTime();
    this.#timer = setInterval(() => void this.#renew(), o.times.renewMs);
  }

  /** Aborts when the lease is lost, or could not be renewed for two thirds of its time. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** A new epoch, above all former ones and at least `atLeast`. Throws `lease-lost`. */
  async nextEpoch(atLeast = 0): Promise<number> {
    await this.#write(Math.max(this.#epoch + 1, atLeast), this.#owner);
    if (this.#lost.signal.aborted) throw new PgtwinError('lease-lost', { task: this.taskId });
    return this.#epoch;
  }

  /** Gives the task back, so that another owner need not wait. */
  async release(): Promise<void> {
    clearInterval(this.#timer);
    if (!this.#lost.signal.aborted) await this.#write(this.#epoch, null).catch(() => {});
    this.#lost.abort();
  }

  async #renew(): Promise<void> {
    try {
      await this.#write(this.#epoch, this.#owner);
    } catch {
      const silentMs = this.#clock.now().getTime() - this.#renewed;
      if (silentMs > (this.#times.ttlMs * 2) / 3) this.#lose();
    }
  }

  #write(epoch: number, owner: string | null): Promise<void> {
    // One write at a time: each is conditional on the version of the one before.
    this.#writing = this.#writing
      .catch(() => {})
      .then(async () => {
        const body = { owner, fence: this.fence, epoch: Math.max(epoch, this.#epoch) };
        // A write whose answer was lost has moved the version on, with an older epoch perhaps: ours goes on top of it.
        if (!(await this.#put(body)) && !((await this.#adopt()) && (await this.#put(body))))
          return this.#lose();
        this.#epoch = body.epoch;
        this.#renewed = this.#clock.now().getTime();
      });
    return this.#writing;
  }

  async #put(body: z.infer<typeof stored>): Promise<boolean> {
    const version = this.#version + 1;
    if (!(await this.#table.put({ pk: this.taskId, sk: 'lease', version, body }, this.#version)))
      return false;
    this.#version = version;
    return true;
  }

  /** Takes the stored version if the lease there is still this one. */
  async #adopt(): Promise<boolean> {
    const item = await this.#table.get(this.taskId, 'lease');
    const body = stored.safeParse(item?.body);
    if (!item || !body.success || body.data.fence !== this.fence) return false;
    this.#version = item.version;
    return true;
  }

  #lose(): void {
    clearInterval(this.#timer);
    this.#lost.abort();
  }
}

/** Remembers what it saw of other owners' leases, so that it knows when one has expired. */
export class LeaseTaker {
  readonly #o: { table: Table; owner: string; times: LeaseTimes; clock: Clock };
  readonly #seen = new Map<string, { version: number; since: number }>();

  constructor(o: { table: Table; owner: string; times: LeaseTimes; clock: Clock }) {
    this.#o = o;
  }

  /** The lease of a task, or undefined while another owner has it. */
  async take(taskId: string): Promise<Lease | undefined> {
    const { table, owner, times, clock } = this.#o;
    const item = await table.get(taskId, 'lease');
    const body = item ? stored.parse(item.body) : { owner: null, fence: 0, epoch: 0 };
    const version = item?.version ?? 0;
    if (body.owner !== null && body.owner !== owner && !this.#expired(taskId, version)) return undefined;
    const next = { owner, fence: body.fence + 1, epoch: body.epoch };
    const put = { pk: taskId, sk: 'lease', version: version + 1, body: next };
    if (!(await table.put(put, item ? version : 'absent'))) return undefined;
    this.#seen.delete(taskId);
    return new Lease({
      table,
      taskId,
      owner,
      times,
      clock,
      version: version + 1,
      fence: next.fence,
      epoch: next.epoch,
    });
  }

  #expired(taskId: string, version: number): boolean {
    const now = this.#o.clock.now().getTime();
    const seen = this.#seen.get(taskId);
    if (!seen || seen.version !== version) {
      this.#seen.set(taskId, { version, since: now });
      return false;
    }
    return now - seen.since > this.#o.times.ttlMs;
  }
}
