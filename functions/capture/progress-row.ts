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
  readonly conflictsByKind: Readonly<Record<string, number>>;
};

// The snapshot is taken before the functions run, so every transaction it shows was in WAL before the insert position.
const readProgressSql = /* sql */ `
  select generation, epoch, position, end_lsn::text, resend_epoch, source_time::text, transactions, changes, p.conflicts,
         (select jsonb_object_agg(kind, c.conflicts) from pgtwin.conflict_count c
           where c.task = p.task and c.generation = p.generation) as by_kind,
         pg_current_wal_insert_lsn()::text as insert_lsn, pg_current_wal_flush_lsn()::text as flush_lsn
    from pgtwin.apply_progress p where task = $1 and shard = $2`;

/** Undefined if the row is not there: the task has not been prepared on this database. */
export async function readProgress(
  destination: Queryable,
  task: string,
  shard: number,
): Promise<ProgressReading | undefined> {
  // Asked a hundred times a second while something is on its way.
  const query = { name: 'read-progress', text: readProgressSql, values: [task, shard] };
  const { rows } = await destination.query(query as never);
  const row = rows[0] as (Record<string, string> & { by_kind: Record<string, number> | null }) | undefined;
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
    conflictsByKind: row.by_kind ?? {},
    insertLsn: lsnOf(row['insert_lsn']!),
    flushLsn: lsnOf(row['flush_lsn']!),
  };
}
