import type { Queryable } from '../../shared/postgres/connect.ts';
import { asPosition, lowest, lsnOf, type Position } from '../../shared/stream/position.ts';
import type { Watermarks } from './confirmer.ts';

/** What the destination says of a task, over all its shards, with the WAL positions that were current after it. */
export type ProgressReading = Watermarks & {
  readonly generation: number;
  /** The newest that apply knows of. */
  readonly epoch: number;
  readonly resendEpoch: number;
  /** What is behind in all shards. */
  readonly position: Position;
  readonly endLsn: bigint;
  readonly sourceTime: string | null;
  readonly transactions: number;
  readonly changes: number;
  readonly conflicts: number;
  readonly conflictsByKind: Readonly<Record<string, number>>;
};

// The snapshot is taken before the functions run, so every transaction it shows was in WAL before the insert position.
const readProgressSql = /* sql */ `
  select shard, generation, epoch, position, end_lsn::text, resend_epoch, source_time::text, transactions, changes,
         p.conflicts,
         case when shard = 0 then (select jsonb_object_agg(kind, c.conflicts) from pgtwin.conflict_count c
           where c.task = p.task and c.generation = p.generation) end as by_kind,
         pg_current_wal_insert_lsn()::text as insert_lsn, pg_current_wal_flush_lsn()::text as flush_lsn
    from pgtwin.apply_progress p where task = $1 order by shard`;

type Row = { readonly [Column in string]?: string } & { by_kind: Record<string, number> | null };

/** Undefined if the rows are not there: the task has not been prepared on this database. */
export async function readProgress(
  destination: Queryable,
  task: string,
): Promise<ProgressReading | undefined> {
  // Asked a hundred times a second while something is on its way.
  const query = { name: 'read-progress', text: readProgressSql, values: [task] };
  const { rows } = (await destination.query(query as never)) as unknown as { rows: Row[] };
  if (rows.length === 0) return undefined;
  const numbers = (column: string): number[] => rows.map((row) => Number(row[column]));
  const sum = (column: string): number => numbers(column).reduce((a, b) => a + b);
  const positions = rows.map((row) => asPosition(row['position']!));
  // The row that is furthest behind says how far all are.
  const position = lowest(positions);
  const behind = rows[positions.indexOf(position)]!;
  return {
    generation: Math.min(...numbers('generation')),
    epoch: Math.max(...numbers('epoch')),
    resendEpoch: Math.max(...numbers('resend_epoch')),
    positions,
    position,
    endLsn: lsnOf(behind['end_lsn']!),
    sourceTime: behind['source_time'] ?? null,
    transactions: sum('transactions'),
    changes: sum('changes'),
    conflicts: sum('conflicts'),
    conflictsByKind: rows[0]!.by_kind ?? {},
    // They may move while the rows are read.
    insertLsn: rows.map((row) => lsnOf(row['insert_lsn']!)).reduce((a, b) => (a > b ? a : b)),
    flushLsn: rows.map((row) => lsnOf(row['flush_lsn']!)).reduce((a, b) => (a < b ? a : b)),
  };
}
