import { addXids, unionXids, type XidRanges, xidsFrom } from '../../shared/conflict/xid-ranges.ts';
import type { Queryable } from '../../shared/postgres/connect.ts';

const readSql = /* sql */ `
  select xid from pgtwin.apply_xid where task = $1
  union all
  select xid::int8 from pgtwin.copy_chunk where task = $1`;

/** So many transactions go by before what lies below the floor is forgotten in the table too. */
const PRUNE_EVERY = 200;

/**
 * Xids of apply's own transactions (and of copy) on one database: rows that they wrote came from the other side, so
 * they are never unseen. All of them are in a table, the newest in the progress row as well, so that an invocation
 * reads the table only when others have written more than that since its last one.
 */
export class OwnXids {
  readonly #task: string;
  #known: XidRanges = [];
  #loaded = false;
  #untilPrune = PRUNE_EVERY;

  constructor(task: string) {
    this.#task = task;
  }

  /**
   * Those that count now. `newest` are the progress row's, under its lock; `ofAll`: what other shards wrote counts too,
   * which is only in the table.
   */
  async current(client: Queryable, newest: XidRanges, ofAll = false): Promise<XidRanges> {
    const last = this.#known.at(-1);
    const follows = newest.length === 0 || (last !== undefined && newest[0]! <= last);
    if (!this.#loaded || !follows || ofAll) {
      const { rows } = await client.query<{ xid: bigint }>(readSql, [this.#task]);
      this.#known = addXids(
        [],
        rows.map((r) => r.xid),
      );
      this.#loaded = true;
    }
    this.#known = unionXids(this.#known, newest);
    return this.#known;
  }

  /** Forgets what the other side's floor has passed; in the table now and then. */
  async prune(client: Queryable, floor: bigint): Promise<void> {
    this.#known = xidsFrom(this.#known, floor);
    this.#untilPrune -= 1;
    if (this.#untilPrune > 0) return;
    this.#untilPrune = PRUNE_EVERY;
    await client.query(/* sql */ `delete from pgtwin.apply_xid where task = $1 and xid < $2`, [
      this.#task,
      floor.toString(),
    ]);
  }
}
