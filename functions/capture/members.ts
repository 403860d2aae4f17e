import { z } from 'zod';
import type { Clock } from '../../shared/task/ports.ts';
import type { Table } from '../../shared/task/table.ts';
import type { LeaseTimes } from './lease.ts';

const PARTITION = 'captures';
const stored = z.object({ pool: z.string(), tasks: z.number().int() });

/**
 * The captures of a pool, as each of them sees it: every one writes a sign of life, and counts those of the others
 * that have moved lately on its own clock. So tasks are shared evenly, without anybody who assigns them.
 */
export class Members {
  readonly #o: { table: Table; owner: string; pool: string; times: LeaseTimes; clock: Clock };
  readonly #seen = new Map<string, { version: number; since: number; moved: boolean }>();
  #version = 0;
  #beatAt = Number.NEGATIVE_INFINITY;
  #alive = 1;

  constructor(o: { table: Table; owner: string; pool: string; times: LeaseTimes; clock: Clock }) {
    this.#o = o;
  }

  /** How many of `wanted` tasks this capture should have; one that has more gives some back. */
  async share(wanted: number, own: number): Promise<number> {
    const now = this.#o.clock.now().getTime();
    if (now - this.#beatAt >= this.#o.times.renewMs) {
      this.#beatAt = now;
      await this.#beat(own);
      this.#alive = 1 + (await this.#others());
    }
    return Math.ceil(wanted / this.#alive);
  }

  /** Says that this capture is gone, so that the others need not find out. */
  async leave(): Promise<void> {
    await this.#o.table.remove(PARTITION, this.#o.owner);
  }

  async #beat(tasks: number): Promise<void> {
    const { table, owner, pool, clock } = this.#o;
    this.#version += 1;
    const expires = Math.floor(clock.now().getTime() / 1000) + 86_400;
    const body = { pool, tasks };
    await table.put({ pk: PARTITION, sk: owner, version: this.#version, body, expires }, 'any');
  }

  /** Others of the pool that are alive: as with leases, whose version has not moved for the whole time is dead. */
  async #others(): Promise<number> {
    const { table, owner, pool, times, clock } = this.#o;
    const now = clock.now().getTime();
    let alive = 0;
    for (const { sk, version, body } of (await table.query(PARTITION)).items) {
      const member = stored.safeParse(body);
      if (sk === owner || !member.success || member.data.pool !== pool) continue;
      const seen = this.#seen.get(sk);
      // One that is met for the first time may be dead since long: it counts when it has moved.
      const moved = seen !== undefined && (seen.moved || seen.version !== version);
      const since = seen?.version === version ? seen.since : now;
      this.#seen.set(sk, { version, since, moved });
      if (moved && now - since <= times.ttlMs) alive += 1;
    }
    return alive;
  }
}
