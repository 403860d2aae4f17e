import type { Queryable } from './rows.ts';

/**
 * Carries the floor of transaction ids, and time, through the stream. Every transaction below `xmin` had ended when
 * the snapshot was taken, and the heartbeat's own commit comes later in WAL (manual, 9.27 pg_current_snapshot).
 */
const beatSql = /* sql */ `
  update pgtwin.heartbeat
     set beat = beat + 1, at = clock_timestamp(),
         xid_floor = pg_snapshot_xmin(s)::text, xid_next = pg_snapshot_xmax(s)::text
    from pg_current_snapshot() s
   where task = $1`;

/** To be sent from a timer, or for work that was asked for: what arrives never causes a message back. */
export const beat = async (source: Queryable, task: string): Promise<void> => {
  await source.query(beatSql, [task]);
};
