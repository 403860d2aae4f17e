import type { TaskStatus } from '../task/schema.ts';

export type CopyStatus = NonNullable<TaskStatus['copy']>;

/** One table's share of the copy. */
export type TableProgress = {
  readonly table: string;
  readonly rowsEstimated: number;
  readonly rowsDone: number;
  readonly bytesEstimated: number;
  readonly bytesDone: number;
  readonly finished: boolean;
};

/** At least so long before a remaining time is told: earlier it would be a guess. */
const LEAST_MS = 2_000;

/**
 * Sums up, in bytes of the source's tables (known before, rows are estimates). `startBytes` were done when this
 * process began: they say nothing about its pace.
 */
export function copyStatus(
  tables: readonly TableProgress[],
  pace: { readonly elapsedMs: number; readonly startBytes: number },
): CopyStatus {
  const sum = (of: (t: TableProgress) => number): number => tables.reduce((total, t) => total + of(t), 0);
  const bytesAll = sum((t) => t.bytesEstimated);
  const bytesDone = sum((t) => t.bytesDone);
  const tablesDone = tables.filter((t) => t.finished).length;
  const finished = tablesDone === tables.length;
  const fresh = bytesDone - pace.startBytes;
  const left = Math.max(0, bytesAll - bytesDone);
  const known = fresh > 0 && pace.elapsedMs >= LEAST_MS;
  // A table is not done before its primary key is: 100 percent is for the end.
  const percent = bytesAll === 0 ? 0 : Math.min(99.9, (100 * bytesDone) / bytesAll);
  return {
    tables: tables.length,
    tablesDone,
    rowsEstimated: sum((t) => (t.finished ? t.rowsDone : Math.max(t.rowsEstimated, t.rowsDone))),
    rowsDone: sum((t) => t.rowsDone),
    bytesDone,
    percent: finished ? 100 : Math.round(percent * 10) / 10,
    etaSeconds: finished ? 0 : known ? Math.ceil((left / fresh) * (pace.elapsedMs / 1000)) : null,
  };
}
