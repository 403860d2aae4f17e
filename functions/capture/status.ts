import type { Log } from '../../shared/log/log.ts';
import type { TaskCounters } from '../../shared/log/metrics.ts';
import type { Queryable } from '../../shared/postgres/connect.ts';
import { slotName } from '../../shared/postgres/names.ts';
import type { Clock } from '../../shared/task/ports.ts';
import type { Repository } from '../../shared/task/repository.ts';
import type { TaskStatus } from '../../shared/task/schema.ts';
import type { ProgressReading } from './progress-row.ts';
import type { StreamFigures } from './stream-options.ts';

const EVERY_MS = 2_000;
const LOG_MS = 60_000;

const sourceSql = /* sql */ `
  select pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::int8 as retained,
         extract(epoch from clock_timestamp() - $2::timestamptz)::float8::text as behind
    from pg_catalog.pg_replication_slots where slot_name = $1`;

type StatusOptions = {
  readonly repository: Repository;
  readonly clock: Clock;
  readonly task: string;
  readonly log: Log;
  readonly counters?: Pick<TaskCounters, 'add'> | undefined;
};

/** Live figures of one task, written to the table every few seconds and to the log every minute. */
export class StatusReporter {
  readonly #o: StatusOptions;
  #writtenAt = 0;
  #loggedAt = 0;
  #copy: TaskStatus['copy'] = null;
  #before: { at: number; changes: number; bytes: number; messages: number } | undefined;
  #last: TaskStatus | undefined;
  notes: readonly string[] = [];
  /** Interruptions before these figures. */
  retries = 0;

  constructor(o: StatusOptions) {
    this.#o = o;
  }

  /** Progress of the full copy. */
  copying(copy: NonNullable<TaskStatus['copy']>): void {
    this.#copy = copy;
    if (!this.#due()) return;
    void this.#write({ ...this.#base('copying'), copy }).catch(() => {});
  }

  async streaming(reading: ProgressReading, figures: StreamFigures, source: Queryable): Promise<void> {
    if (!this.#due()) return;
    const now = this.#o.clock.now().getTime();
    const { rows } = await source.query<{ retained: bigint | null; behind: string | null }>(sourceSql, [
      slotName(this.#o.task),
      reading.sourceTime,
    ]);
    const seconds = this.#before ? (now - this.#before.at) / 1000 : 0;
    const rate = (value: number, before: number) =>
      seconds > 0 ? Math.max(0, (value - before) / seconds) : 0;
    const behind = rows[0]?.behind ? Number(rows[0].behind) : null;
    const status: TaskStatus = {
      ...this.#base('streaming'),
      // With nothing on its way the destination is as new as the source.
      latencySeconds: figures.outstanding ? behind : behind === null ? null : 0,
      rowsApplied: reading.changes,
      transactionsApplied: reading.transactions,
      conflicts: reading.conflicts,
      conflictsByKind: { ...reading.conflictsByKind },
      rowsPerSecond: rate(reading.changes, this.#before?.changes ?? 0),
      bytesPerSecond: rate(figures.bytesSent, this.#before?.bytes ?? 0),
      walRetainedBytes: rows[0]?.retained === null || rows[0] === undefined ? null : Number(rows[0].retained),
      position: reading.position,
    };
    this.#o.counters?.add(this.#o.task, {
      BytesSent: Math.max(0, figures.bytesSent - (this.#before?.bytes ?? 0)),
      MessagesSent: Math.max(0, figures.messagesSent - (this.#before?.messages ?? 0)),
    });
    const { bytesSent: bytes, messagesSent: messages } = figures;
    this.#before = { at: now, changes: reading.changes, bytes, messages };
    await this.#write(status);
    if (now - this.#loggedAt >= LOG_MS) {
      this.#loggedAt = now;
      const { rowsApplied, latencySeconds, rowsPerSecond, walRetainedBytes, position } = status;
      this.#o.log.info('streaming', {
        rowsApplied,
        latencySeconds,
        rowsPerSecond,
        walRetainedBytes,
        position,
      });
    }
  }

  /** Writes the last figures under another phase. */
  async flush(phase: string): Promise<void> {
    await this.#write({ ...(this.#last ?? this.#base(phase)), phase });
  }

  #due(): boolean {
    return this.#o.clock.now().getTime() - this.#writtenAt >= EVERY_MS;
  }

  #base(phase: string): TaskStatus {
    return {
      at: this.#o.clock.now().toISOString(),
      phase,
      latencySeconds: null,
      rowsApplied: 0,
      transactionsApplied: 0,
      conflicts: 0,
      conflictsByKind: {},
      rowsPerSecond: 0,
      bytesPerSecond: 0,
      walRetainedBytes: null,
      position: null,
      copy: this.#copy,
      retries: this.retries,
      notes: [...this.notes],
    };
  }

  async #write(status: TaskStatus): Promise<void> {
    this.#writtenAt = this.#o.clock.now().getTime();
    this.#last = status;
    await this.#o.repository.putStatus(this.#o.task, status);
  }
}
