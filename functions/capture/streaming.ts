import type pg from 'pg';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { Log } from '../../shared/log/log.ts';
import { connect, disconnect, type Queryable, type Target } from '../../shared/postgres/connect.ts';
import { slotName } from '../../shared/postgres/names.ts';
import { lsnOf, type Position } from '../../shared/stream/position.ts';
import { placingOf } from '../../shared/task/placing.ts';
import type { BlobStore, Clock, Delivery, Queue } from '../../shared/task/ports.ts';
import { readPrepared } from '../../shared/task/prepared.ts';
import type { PreparedTable, Task, TaskConfig } from '../../shared/task/schema.ts';
import type { Table } from '../../shared/task/table.ts';
import { type Checkpoint, CheckpointStore } from './checkpoint.ts';
import type { Lease } from './lease.ts';
import { Stream } from './loop.ts';
import { backoffMs } from './outbox.ts';
import { type ProgressReading, readProgress } from './progress-row.ts';
import { HybridClock, SeenTracker } from './seen-state.ts';
import type { SendPace } from './send-pace.ts';
import { checkShards } from './shard-plan.ts';
import { identifySystem } from './slot.ts';
import { endFormerSender } from './source.ts';
import type { StreamFigures } from './stream-options.ts';

export type StreamingOptions = {
  readonly task: Task;
  readonly config: TaskConfig;
  readonly shards: number;
  readonly source: Target;
  readonly destination: Target;
  readonly lease: Lease;
  readonly table: Table;
  readonly queue: Queue;
  readonly blobs: BlobStore;
  readonly delivery: Delivery;
  readonly clock: Clock;
  readonly log: Log;
  readonly pace?: SendPace | undefined;
  readonly isAwaited: () => boolean;
  /** Told of every reading of the watermark, one call at a time. */
  readonly onProgress: (seen: StreamProgress) => Promise<void>;
};

export type StreamProgress = {
  readonly reading: ProgressReading;
  readonly figures: StreamFigures;
  /** All WAL that was there when the connection was made has been read, and is applied. */
  readonly caughtUp: boolean;
  readonly sourceSql: Queryable;
};

const STATEMENT_MS = 30_000;
const settings = { statement_timeout: String(STATEMENT_MS) };
/** The server answers within its statement time-out; if nothing comes even then, the connection is gone. */
const queryTimeoutMs = STATEMENT_MS + 5_000;

const sourceSql = /* sql */ `
  select setting as timeout, current_setting('server_version_num') as version,
         pg_current_wal_flush_lsn()::text as lsn
    from pg_catalog.pg_settings where name = 'wal_sender_timeout'`;

/** The stream of one task under one lease: epoch after epoch, each a replication connection of its own. */
export class Streaming {
  readonly #o: StreamingOptions;
  #stream: Stream | undefined;
  #draining = false;

  constructor(options: StreamingOptions) {
    this.#o = options;
  }

  /** Sends and waits for what has been read, then ends with `drained`. */
  drain(): void {
    this.#draining = true;
    this.#stream?.drain();
  }

  /** Until stopped or drained; throws what broke it. */
  async run(signal: AbortSignal): Promise<'stopped' | 'drained'> {
    const { task, source, destination, delivery, clock } = this.#o;
    const list = await this.#checkServer();
    const { queueUrl } = await delivery.ensure(task.id);
    const clients: pg.Client[] = [];
    const open = async (target: Target, application: string, more = {}): Promise<pg.Client> => {
      const client = await connect(target, {
        application,
        settings: { ...settings, ...more },
        queryTimeoutMs,
      });
      clients.push(client);
      return client;
    };
    try {
      const sql = {
        source: await open(source, `pgtwin capture ${task.id}`, { synchronous_commit: 'off' }),
        destination: await open(destination, `pgtwin watermark ${task.id}`),
        queueUrl,
      };
      await checkShards({ ...this.#o, ...sql }, list);
      let epoch = 0;
      let from: Position | undefined;
      for (let attempt = 0; !signal.aborted; ) {
        this.#stream = await this.#open(sql, list, epoch);
        if (this.#draining) this.#stream.drain();
        const end = await this.#stream.run(signal);
        if (end.why === 'drained') return 'drained';
        if (end.why !== 're-send') continue;
        // Whatever keeps the same messages from arriving is not helped by haste.
        attempt = end.from === from ? attempt + 1 : 0;
        ({ epoch, from } = end);
        if (attempt > 0) await clock.sleep(backoffMs(attempt, clock.random()), signal);
      }
      return 'stopped';
    } finally {
      this.#stream = undefined;
      await Promise.all(clients.map(disconnect));
    }
  }

  /** Positions compare only within one server and timeline. Gives the task's tables. */
  async #checkServer(): Promise<readonly PreparedTable[]> {
    const { task, table, source } = this.#o;
    const prepared = await readPrepared(table, task.id);
    if (!prepared)
      throw new PgtwinError('gap-not-healable', { detail: `Task ${task.id} has not been prepared.` });
    const now = await identifySystem(source, `pgtwin capture ${task.id}`);
    if (now.systemId === prepared.systemId && now.timeline === prepared.timeline) return prepared.list;
    throw new PgtwinError('server-identity-changed', {
      detail: `The source was system ${prepared.systemId}, timeline ${prepared.timeline}; now it is ${now.systemId}, timeline ${now.timeline}.`,
    });
  }

  async #open(
    sql: { source: pg.Client; destination: pg.Client; queueUrl: string },
    list: readonly PreparedTable[],
    atLeast: number,
  ): Promise<Stream> {
    const { task, config, lease, table } = this.#o;
    const { generation, id } = task;
    const reading = await readProgress(sql.destination, id);
    if (reading?.generation !== generation || reading.positions.length !== this.#o.shards)
      throw new PgtwinError('gap-not-healable', {
        detail: `The progress rows of task ${id} are not those of this generation.`,
      });
    // Above all that apply knows: what is older it deletes unread.
    const epoch = await lease.nextEpoch(Math.max(atLeast, reading.epoch + 1, reading.resendEpoch));
    await endFormerSender(sql.source, slotName(id));
    const store = new CheckpointStore(table, id);
    const saved = await store.read(generation);
    const start = startOf(reading, saved?.shards, config.walRetention);
    const { shards } = this.#o;
    const at = (n: number) => saved?.shards[n]?.seen;
    const { rows } = await sql.source.query<{ timeout: string; version: string; lsn: string }>(sourceSql);
    const facts = rows[0]!;
    const openLsn = lsnOf(facts.lsn);
    return new Stream({
      ...this.#o,
      task: id,
      generation,
      epoch,
      config: task.configVersion,
      sourceSql: sql.source,
      destinationSql: sql.destination,
      origin: Number(facts.version) >= 160_000 ? 'none' : undefined,
      retention: config.walRetention,
      queueUrl: sql.queueUrl,
      placing: placingOf(list, shards),
      seen: Array.from({ length: shards }, (_, n) => new SeenTracker(at(n))),
      hybrid: new HybridClock(saved?.newest),
      start,
      saved,
      senderTimeoutMs: Number(facts.timeout),
      saveCheckpoint: ({ lsn, newest, shards: at }) =>
        store.save({ generation, epoch, lsn: lsn.toString(), newest, shards: [...at] }),
      onProgress: (now, figures) =>
        this.#o.onProgress({
          reading: now,
          figures,
          caughtUp: !figures.outstanding && figures.read >= openLsn,
          sourceSql: sql.source,
        }),
    });
  }
}

/**
 * Where the stream goes on: behind the watermark. The slot may have forgotten everything up to the checkpoint's
 * position; a destination that is behind it has lost what it had (a restored backup), and nobody can give it again.
 * Only with `until-queued` retention it may be behind: until it has misses something, the queue still has that.
 */
export function startOf(
  reading: Pick<ProgressReading, 'positions' | 'epoch' | 'resendEpoch'>,
  saved: Checkpoint['shards'] | undefined,
  retention: TaskConfig['walRetention'],
): Position[] {
  return reading.positions.map((position, shard) => {
    const forgotten = saved?.[shard]?.position;
    if (forgotten === undefined || forgotten <= position) return position;
    if (retention === 'until-queued' && reading.resendEpoch <= reading.epoch) return forgotten;
    throw new PgtwinError('gap-not-healable', {
      detail: `The destination has applied up to ${position}, but the slot has forgotten up to ${forgotten}.`,
    });
  });
}
