import type pg from 'pg';
import { asPgtwinError, PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { Log } from '../../shared/log/log.ts';
import { connect, type Target } from '../../shared/postgres/connect.ts';
import { lsnOf } from '../../shared/stream/position.ts';
import type { TaskInput } from '../../shared/task/machine.ts';
import {
  type BlobStore,
  type Clock,
  type Delivery,
  type Queue,
  type SecretStore,
  targetOf,
  type WorkQueue,
} from '../../shared/task/ports.ts';
import { readPrepared } from '../../shared/task/prepared.ts';
import type { Repository } from '../../shared/task/repository.ts';
import {
  destinationOf,
  oppositeTask,
  type Pair,
  sourceOf,
  type Task,
  type TaskConfig,
  type TaskError,
} from '../../shared/task/schema.ts';
import { CheckpointStore } from './checkpoint.ts';
import { finishInitialization } from './finish.ts';
import { initialize } from './initialize.ts';
import type { Lease } from './lease.ts';
import { Stream } from './loop.ts';
import { backoffMs } from './outbox.ts';
import { type ProgressReading, readProgress } from './progress-row.ts';
import { releaseTask } from './release.ts';
import { SeenTracker } from './seen-state.ts';
import { identifySystem } from './slot.ts';
import { StatusReporter } from './status.ts';

export type CaptureDeps = {
  readonly repository: Repository;
  readonly secrets: SecretStore;
  readonly queue: Queue & WorkQueue;
  readonly blobs: BlobStore;
  readonly delivery: Delivery;
  readonly copyQueueUrl: string;
  readonly clock: Clock;
  readonly log: Log;
};

const WATCH_MS = 500;
const DRAIN_MS = 30_000;
const DESTINATION_SETTINGS = { statement_timeout: '30000' };

type Loaded = { task: Task; pair: Pair; config: TaskConfig; source: Target; destination: Target };

/**
 * Does what a task's state asks for, for as long as this capture owns its lease: initialize, stream, pause, release.
 * Errors move the task to Retrying or Failed and are tried again with growing pauses.
 */
export class TaskRunner {
  readonly #deps: CaptureDeps;
  readonly #lease: Lease;
  readonly #id: string;
  readonly #log: Log;
  readonly #stop: AbortSignal;
  /** Ends what is under way when the task's state asks for something else. */
  #current = new AbortController();
  #stream: Stream | undefined;
  #attempt = 0;

  constructor(deps: CaptureDeps, lease: Lease, stop: AbortSignal) {
    this.#deps = deps;
    this.#lease = lease;
    this.#id = lease.taskId;
    this.#log = deps.log.with({ task: lease.taskId });
    this.#stop = AbortSignal.any([stop, lease.lost]);
  }

  /** Returns when the task needs no capture any more, or the lease is lost, or the process stops. */
  async run(): Promise<void> {
    const watching = this.#watch();
    try {
      while (!this.#stop.aborted) {
        this.#current = new AbortController();
        try {
          if (!(await this.#step(await this.#deps.repository.getTask(this.#id)))) return;
        } catch (error) {
          if (!(await this.#failed(error))) return;
        }
      }
    } finally {
      this.#current.abort();
      await this.#lease.release();
      await watching;
    }
  }

  /** One thing that the state asks for; false if it asks for nothing. */
  async #step(task: Task): Promise<boolean> {
    const asked = task.state === 'Retrying' ? (task.returnTo ?? 'Running') : task.state;
    switch (asked) {
      case 'Initializing':
      case 'Running':
        await this.#work(task, asked === 'Initializing');
        return true;
      case 'Pausing':
        await this.#move('paused', 'nothing is under way');
        return false;
      case 'Releasing':
        await this.#release(task);
        return false;
      default:
        return false;
    }
  }

  async #load(task: Task): Promise<Loaded> {
    const { repository, secrets } = this.#deps;
    const [pair, config] = await Promise.all([repository.getPair(task.pairId), repository.getConfig(task)]);
    const [source, destination] = await Promise.all([
      targetOf(pair.sides[sourceOf(task.direction)], secrets),
      targetOf(pair.sides[destinationOf(task.direction)], secrets),
    ]);
    return { task, pair, config, source, destination };
  }

  async #work(task: Task, initializing: boolean): Promise<void> {
    const loaded = await this.#load(task);
    const { config } = loaded;
    const status = new StatusReporter({ ...this.#deps, task: this.#id, log: this.#log });
    let copyEnd: bigint | undefined;
    if (initializing) {
      const done = await initialize({
        task,
        config,
        opposite: await this.#opposite(task),
        source: loaded.source,
        destination: loaded.destination,
        table: this.#deps.repository.table,
        queue: this.#deps.queue,
        copyQueueUrl: this.#deps.copyQueueUrl,
        clock: this.#deps.clock,
        log: this.#log,
        signal: AbortSignal.any([this.#stop, this.#current.signal]),
        onProgress: (copy) => status.copying(copy),
      });
      status.notes = done.notes;
      copyEnd = lsnOf(done.copyEnd);
      if (!config.types.incremental) {
        await this.#finish(loaded);
        await status.flush('finished');
        await this.#move('finished', 'schema and data are copied');
        return;
      }
    }
    await this.#streams(loaded, status, copyEnd);
  }

  async #opposite(task: Task) {
    const { repository } = this.#deps;
    const other = await repository.getTask(oppositeTask(task.id));
    if (other.configVersion === 0 || other.state === 'Released' || other.state === 'Releasing')
      return undefined;
    return { task: other, config: await repository.getConfig(other) };
  }

  async #finish({ config, source, destination }: Loaded): Promise<void> {
    const prepared = await this.#prepared();
    await finishInitialization({
      task: this.#id,
      config,
      tables: prepared.list,
      source,
      destination,
      log: this.#log,
    });
  }

  async #prepared() {
    const prepared = await readPrepared(this.#deps.repository.table, this.#id);
    if (!prepared)
      throw new PgtwinError('gap-not-healable', { detail: `Task ${this.#id} has not been prepared.` });
    return prepared;
  }

  /** Streams, epoch after epoch, until the state asks for something else. */
  async #streams(loaded: Loaded, status: StatusReporter, copyEnd: bigint | undefined): Promise<void> {
    const { task, source, destination } = loaded;
    await this.#checkServer(source);
    const { queueUrl } = await this.#deps.delivery.ensure(this.#id);
    const clients: pg.Client[] = [];
    try {
      const sourceSql = await connect(source, {
        application: `pgtwin capture ${task.id}`,
        settings: { synchronous_commit: 'off', statement_timeout: '30000' },
      });
      clients.push(sourceSql);
      const destinationSql = await connect(destination, {
        application: `pgtwin watermark ${task.id}`,
        settings: DESTINATION_SETTINGS,
      });
      clients.push(destinationSql);
      let epoch = 0;
      while (!this.#stop.aborted && !this.#current.signal.aborted) {
        const stream = await this.#open(loaded, {
          sourceSql,
          destinationSql,
          queueUrl,
          epoch,
          status,
          copyEnd,
        });
        this.#stream = stream;
        const end = await stream.run(AbortSignal.any([this.#stop, this.#current.signal]));
        this.#stream = undefined;
        if (end.why === 'drained')
          return void (await this.#move('paused', 'everything that was read is applied'));
        if (end.why === 're-send') ({ epoch } = end);
      }
    } finally {
      this.#stream = undefined;
      await Promise.all(clients.map((client) => client.end().catch(() => {})));
    }
  }

  /** Positions compare only within one server and timeline. */
  async #checkServer(source: Target): Promise<void> {
    const prepared = await this.#prepared();
    const now = await identifySystem(source, `pgtwin capture ${this.#id}`);
    if (now.systemId === prepared.systemId && now.timeline === prepared.timeline) return;
    throw new PgtwinError('server-identity-changed', {
      detail: `The source was system ${prepared.systemId}, timeline ${prepared.timeline}; now it is ${now.systemId}, timeline ${now.timeline}.`,
    });
  }

  async #open(
    { task, config, source, pair, destination }: Loaded,
    o: {
      sourceSql: pg.Client;
      destinationSql: pg.Client;
      queueUrl: string;
      epoch: number;
      status: StatusReporter;
      copyEnd: bigint | undefined;
    },
  ): Promise<Stream> {
    const { generation, id } = task;
    const epoch = await this.#lease.nextEpoch(o.epoch);
    const start = await readProgress(o.destinationSql, id, 0);
    if (start?.generation !== generation)
      throw new PgtwinError('gap-not-healable', {
        detail: `The progress row of task ${id} is not of this generation.`,
      });
    const store = new CheckpointStore(this.#deps.repository.table, id);
    const saved = await store.read(generation);
    const { rows } = await o.sourceSql.query<{ timeout: string; version: string }>(
      /* sql */ `select setting as timeout, current_setting('server_version_num') as version
                  from pg_catalog.pg_settings where name = 'wal_sender_timeout'`,
    );
    let finishing: Promise<unknown> | undefined;
    const finished = async (reading: ProgressReading): Promise<void> => {
      if (o.copyEnd === undefined || reading.endLsn < o.copyEnd) return;
      finishing ??= this.#finish({ task, config, source, pair, destination }).then(() =>
        this.#move('initialized', 'the stream has passed the end of the copy'),
      );
      await finishing;
    };
    return new Stream({
      task: id,
      generation,
      epoch,
      config: task.configVersion,
      shard: 0,
      source,
      sourceSql: o.sourceSql,
      destinationSql: o.destinationSql,
      origin: Number(rows[0]!.version) >= 160_000 ? 'none' : undefined,
      retention: config.walRetention,
      queueUrl: o.queueUrl,
      queue: this.#deps.queue,
      blobs: this.#deps.blobs,
      clock: this.#deps.clock,
      log: this.#log,
      seen: new SeenTracker(saved),
      start,
      senderTimeoutMs: Number(rows[0]!.timeout),
      saveCheckpoint: (at) =>
        store.save({
          generation,
          epoch: at.epoch,
          lsn: at.lsn.toString(),
          position: at.position ?? null,
          seen: at.seen,
          newest: at.newest,
        }),
      onProgress: async (reading, figures) => {
        await finished(reading);
        await this.#recovered(reading, start, figures.outstanding);
        await o.status.streaming(reading, figures, o.sourceSql);
      },
    });
  }

  #retrying = false;

  /** Back from Retrying once the destination moves on again, or nothing waits for it. */
  async #recovered(reading: ProgressReading, start: ProgressReading, outstanding: boolean): Promise<void> {
    if (!this.#retrying || (outstanding && reading.position <= start.position)) return;
    this.#attempt = 0;
    this.#retrying = false;
    await this.#deps.repository.tryMove(this.#id, 'recovered', {
      cause: 'the stream runs again',
      actor: 'capture',
    });
  }

  /** Looks at the task's state; what is under way ends when the state asks for something else. */
  async #watch(): Promise<void> {
    const { repository, clock } = this.#deps;
    let pausingSince: number | undefined;
    while (!this.#stop.aborted) {
      await clock.sleep(WATCH_MS, this.#stop);
      const task = await repository.getTask(this.#id).catch(() => undefined);
      if (!task) continue;
      this.#retrying = task.state === 'Retrying';
      const wanted = task.state === 'Initializing' || task.state === 'Running' || task.state === 'Retrying';
      if (wanted) continue;
      if (task.state === 'Pausing' && this.#stream) {
        pausingSince ??= clock.now().getTime();
        this.#stream.drain();
        if (clock.now().getTime() - pausingSince < DRAIN_MS) continue;
      }
      this.#current.abort();
      if (task.state !== 'Pausing' && task.state !== 'Releasing') return;
    }
  }

  async #release(task: Task): Promise<void> {
    const { repository, secrets, blobs, delivery } = this.#deps;
    const pair = await repository.getPair(task.pairId);
    const left = await releaseTask({
      task: this.#id,
      source: () => targetOf(pair.sides[sourceOf(task.direction)], secrets),
      destination: () => targetOf(pair.sides[destinationOf(task.direction)], secrets),
      table: repository.table,
      blobs,
      blobPrefix: `${this.#id}/`,
      delivery,
      log: this.#log,
    });
    await repository.table.put({ pk: this.#id, sk: 'leftovers', version: 1, body: left }, 'any');
    const detail = left
      .map((l) => `${l.what} on ${l.side}: ${l.reason}${l.sql ? `; by hand: ${l.sql}` : ''}`)
      .join('\n');
    const error: TaskError | undefined =
      left.length > 0
        ? {
            code: 'released-with-leftovers',
            detail,
            advice: 'Run the SQL by hand.',
            at: this.#deps.clock.now().toISOString(),
          }
        : undefined;
    await this.#move(
      'released',
      left.length > 0 ? 'released, with leftovers' : 'everything was removed',
      error,
    );
  }

  #move(input: TaskInput, cause: string, error?: TaskError): Promise<boolean> {
    return this.#deps.repository.tryMove(this.#id, input, {
      cause,
      actor: 'capture',
      ...(error ? { error } : {}),
    });
  }

  /** Records what went wrong and waits; false if the task is not to be tried again. */
  async #failed(thrown: unknown): Promise<boolean> {
    if (this.#stop.aborted || this.#current.signal.aborted) return !this.#stop.aborted;
    const error = asPgtwinError(thrown);
    if (error.code === 'lease-lost' || error.code === 'not-found') return false;
    const { clock, repository } = this.#deps;
    this.#log.error('task interrupted', { code: error.code, attempt: this.#attempt, error });
    const facts = {
      code: error.code,
      detail: error.message,
      advice: error.rule.advice,
      at: clock.now().toISOString(),
    };
    const never = error.rule.retry === 'never';
    await this.#move(never ? 'give-up' : 'error', error.message, facts).catch(() => {});
    if (never) return false;
    const waitMs = backoffMs(this.#attempt, clock.random());
    this.#attempt += 1;
    await clock.sleep(waitMs, AbortSignal.any([this.#stop, this.#current.signal]));
    const task = await repository.getTask(this.#id).catch(() => undefined);
    return task === undefined || task.state !== 'Failed';
  }
}
