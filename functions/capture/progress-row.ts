import type { Queryable } from '../../shared/postgres/connect.ts';
import { asPosition, lsnOf, type Position } from '../../shared/stream/position.ts';
import type { Reading } from './confirm.ts';

/** The destination's progress row of a task, read with the WAL positions that were current after it. */
export type ProgressReading = Reading & {
  readonly generation: number;
  readonly epoch: number;
  readonly resendEpoch: number;
  readonly endLsn: bigint;
  readonly sourceTime: string | null;
  readonly transactions: number;
  readonly changes: number;
  readonly conflicts: number;
};

// The snapshot is taken before the functions run, so every transaction it shows was in WAL before the insert position.
const readProgressSql = /* sql */ `
  select generation, epoch, position, end_lsn::text, resend_epoch, source_time::text, transactions, changes, conflicts,
         pg_current_wal_insert_lsn()::text as insert_lsn, pg_current_wal_flush_lsn()::text as flush_lsn
    from pgtwin.apply_progress where task = $1 and shard = $2`;

/** Undefined if the row is not there: the task has not been prepared on this database. */
export async function readProgress(
  destination: Queryable,
  task: string,
  shard: number,
): Promise<ProgressReading | undefined> {
  const { rows } = await destination.query(readProgressSql, [task, shard]);
  const row = rows[0] as Record<string, string> | undefined;
  if (!row) return undefined;
  return {
    generation: Number(row['generation']),
    epoch: Number(row['epoch']),
    position: asPosition(row['position']!) as Position,
    endLsn: lsnOf(row['end_lsn']!),
    resendEpoch: Number(row['resend_epoch']),
    sourceTime: row['source_time'] ?? null,
    transactions: Number(row['transactions']),
    changes: Number(row['changes']),
    conflicts: Number(row['conflicts']),
    insertLsn: lsnOf(row['insert_lsn']!),
    flushLsn: lsnOf(row['flush_lsn']!),
  };
}
