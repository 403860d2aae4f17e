import { asPgtwinError, PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { Log } from '../../shared/log/log.ts';
import type { TaskCounters } from '../../shared/log/metrics.ts';
import { type Target, withClient } from '../../shared/postgres/connect.ts';
import { translateOwn } from '../../shared/postgres/sqlstate.ts';
import { lsnOf, type Position } from '../../shared/stream/position.ts';
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
  type TableName,
  type Task,
  type TaskConfig,
  type TaskError,
  type TaskState,
} from '../../shared/task/schema.ts';
import { readFallbacks } from './fallbacks.ts';
import { finishInitialization } from './finish.ts';
import { Finishing } from './finishing.ts';
import { initialize } from './initialize.ts';
import type { Lease } from './lease.ts';
import { NewTables } from './new-tables.ts';
import { backoffMs } from './outbox.ts';
import { leftoversError, releaseTask } from './release.ts';
import { SendPace } from './send-pace.ts';
import { shardNote } from './shard-note.ts';
import { StatusReporter } from './status.ts';
import { Streaming, type StreamProgress } from './streaming.ts';

export type CaptureDeps = {
  readonly repository: Repository;
  readonly secrets: SecretStore;
  readonly queue: Queue & WorkQueue;
  readonly blobs: BlobStore;
  readonly delivery: Delivery;
  readonly copyQueueUrl: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Pause between two looks for tasks; the states of those that run are looked at twice as often. */
  readonly pollMs: number;
  readonly counters?: Pick<TaskCounters, 'add'>;
};

const DRAIN_MS = 30_000;
const WITHOUT_KEY = 'New tables without a key';

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
  #streaming: Streaming | undefined;
  #attempt = 0;
  /** Interruptions so far. */
  #retries = 0;
  readonly #done = new AbortController();
  readonly #pace: SendPace;

  constructor(deps: CaptureDeps, lease: Lease, stop: AbortSignal) {
    this.#deps = deps;
    this.#lease = lease;
    this.#id = lease.taskId;
    this.#log = deps.log.with({ task: lease.taskId });
    this.#pace = new SendPace(deps.clock);
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
      this.#done.abort();
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
    this.#pace.set(task.limits?.incremental);
    const status = new StatusReporter({ ...this.#deps, task: this.#id, log: this.#log });
    status.retries = this.#retries;
    let copyEnd: bigint | undefined;
    if (initializing) {
      const done = await initialize({
        task,
        config,
        opposite: await this.#opposite(task),
        arbiter: loaded.pair.arbiter,
        shards: loaded.pair.shards,
        source: loaded.source,
        destination: loaded.destination,
        table: this.#deps.repository.table,
        queue: this.#deps.queue,
        copyQueueUrl: this.#deps.copyQueueUrl,
        clock: this.#deps.clock,
        log: this.#log,
        signal: AbortSignal.any([this.#stop, this.#current.signal]),
        onProgress: (copy) => {
          status.copying(copy);
          void this.#copyMoved(copy.rowsDone + copy.tablesDone);
        },
      });
      status.notes = done.notes;
      copyEnd = lsnOf(done.copyEnd);
      if (!config.types.incremental) {
        await this.#finish(loaded);
        await this.#recovered();
        await status.flush('finished');
        await this.#move('finished', 'schema and data are copied');
        return;
      }
    }
    await this.#stream(loaded, status, copyEnd);
  }

  async #opposite(task: Task) {
    const { repository } = this.#deps;
    const other = await repository.getTask(oppositeTask(task.id));
    if (other.configVersion === 0 || other.state === 'Released' || other.state === 'Releasing')
      return undefined;
    return { task: other, config: await repository.getConfig(other) };
  }

  async #finish({ config, source, destination }: Loaded): Promise<void> {
    const prepared = await readPrepared(this.#deps.repository.table, this.#id);
    if (!prepared)
      throw new PgtwinError('gap-not-healable', { detail: `Task ${this.#id} has not been prepared.` });
    await finishInitialization({
      task: this.#id,
      config,
      tables: prepared.list,
      source,
      destination,
      log: this.#log,
      signal: AbortSignal.any([this.#stop, this.#current.signal]),
    });
  }

  /** Streams until the state asks for something else. */
  async #stream(loaded: Loaded, status: StatusReporter, copyEnd: bigint | undefined): Promise<void> {
    const how = { application: `pgtwin capture ${this.#id}` };
    const fallbacks = await withClient(loaded.destination, how, (client) => readFallbacks(client, loaded));
    const prepared = await readPrepared(this.#deps.repository.table, this.#id);
    const note = shardNote(loaded.pair.shards, prepared?.list ?? []);
    status.notes = [...new Set([...status.notes, ...fallbacks, ...(note === undefined ? [] : [note])])];
    const finishing = copyEnd === undefined ? undefined : new Finishing(copyEnd, () => this.#finish(loaded));
    const added = new NewTables({ ...loaded, table: this.#deps.repository.table, clock: this.#deps.clock });
    this.#streaming = new Streaming({
      ...this.#deps,
      ...loaded,
      table: this.#deps.repository.table,
      lease: this.#lease,
      shards: loaded.pair.shards,
      log: this.#log,
      isAwaited: () => finishing !== undefined && !finishing.isOver,
      pace: this.#pace,
      onProgress: async (seen) => {
        await this.#streamMoved(seen);
        // Not in Retrying: there nothing is ever finished.
        if (!this.#retrying && finishing?.isReached(seen.reading.endLsn))
          if (await this.#move('initialized', 'the stream has passed the end of the copy')) finishing.over();
        await status.streaming(seen.reading, seen.figures, seen.sourceSql);
        const settled = !this.#retrying && (finishing === undefined || finishing.isOver);
        if (settled) await this.#lookForTables(added, seen, status);
      },
    });
    try {
      const why = await this.#streaming.run(AbortSignal.any([this.#stop, this.#current.signal]));
      if (why === 'drained') await this.#move('paused', 'everything that was read is applied');
    } finally {
      this.#streaming = undefined;
    }
  }

  /**
   * New tables are prepared and copied as the others were at the start, while the stream waits: the slot keeps what
   * happens meanwhile. Not while the opposite task is doing the same: its tables are here before it has filled them.
   */
  async #lookForTables(added: NewTables, seen: StreamProgress, status: StatusReporter): Promise<void> {
    const found = await added.look(seen.sourceSql);
    if (!found) return;
    const names = (list: readonly TableName[]) =>
      list.map((each) => `${each.schema}.${each.name}`).join(', ');
    status.notes = status.notes.filter((note) => !note.startsWith(WITHOUT_KEY));
    if (found.without.length > 0)
      status.notes = [...status.notes, `${WITHOUT_KEY}, left out: ${names(found.without)}.`];
    if (found.ready.length === 0) return;
    const opposite = await this.#deps.repository.getTask(oppositeTask(this.#id));
    if (opposite.state === 'Initializing' || opposite.returnTo === 'Initializing') return;
    const cause = `new tables in the selection: ${names(found.ready.slice(0, 10))}`;
    if (await this.#move('tables-added', cause, { from: 'Running' })) this.#current.abort();
  }

  /** The task is in Retrying: since when it was seen, what has moved shows whether things work again. */
  #retrying = false;
  #watermark: Position | undefined;
  #copied: number | undefined;

  /** Back from Retrying once the destination moves on again, or nothing waits for it: whoever reported the error. */
  async #streamMoved({ reading, caughtUp }: StreamProgress): Promise<void> {
    if (!this.#retrying) return;
    this.#watermark ??= reading.position;
    if (caughtUp || reading.position > this.#watermark) await this.#recovered();
  }

  /** The same for a copy that goes on: it may take longer than a task may be in Retrying. */
  async #copyMoved(done: number): Promise<void> {
    if (!this.#retrying) return;
    this.#copied ??= done;
    if (done > this.#copied) await this.#recovered().catch(() => {});
  }

  async #recovered(): Promise<void> {
    this.#attempt = 0;
    this.#retrying = false;
    await this.#move('recovered', 'it works again', { from: 'Retrying' });
  }

  /** Looks at the task's state; what is under way ends when the state asks for something else. */
  async #watch(): Promise<void> {
    const { repository, clock } = this.#deps;
    const stop = AbortSignal.any([this.#stop, this.#done.signal]);
    let pausingSince: number | undefined;
    while (!stop.aborted) {
      await clock.sleep(this.#deps.pollMs / 2, stop);
      const task = await repository.getTask(this.#id).catch(() => undefined);
      if (!task || stop.aborted) continue;
      this.#noteRetrying(task.state === 'Retrying');
      this.#pace.set(task.limits?.incremental);
      const wanted = task.state === 'Initializing' || task.state === 'Running' || task.state === 'Retrying';
      if (task.state !== 'Pausing') pausingSince = undefined;
      if (wanted) continue;
      if (task.state === 'Pausing' && this.#streaming) {
        pausingSince ??= clock.now().getTime();
        this.#streaming.drain();
        if (clock.now().getTime() - pausingSince < DRAIN_MS) continue;
      }
      this.#current.abort();
    }
  }

  #noteRetrying(retrying: boolean): void {
    if (retrying === this.#retrying) return;
    this.#retrying = retrying;
    this.#watermark = undefined;
    this.#copied = undefined;
  }

  async #release(task: Task): Promise<void> {
    const { repository, secrets } = this.#deps;
    const pair = await repository.getPair(task.pairId);
    const left = await releaseTask({
      ...this.#deps,
      task: this.#id,
      source: () => targetOf(pair.sides[sourceOf(task.direction)], secrets),
      destination: () => targetOf(pair.sides[destinationOf(task.direction)], secrets),
      table: repository.table,
      blobPrefix: `${this.#id}/`,
      log: this.#log,
    });
    await repository.table.put({ pk: this.#id, sk: 'leftovers', version: 1, body: left }, 'any');
    const error = leftoversError(left, this.#deps.clock.now());
    await this.#move(
      'released',
      error ? 'released, with leftovers' : 'everything was removed',
      error && { error },
    );
  }

  #move(
    input: TaskInput,
    cause: string,
    more: { readonly error?: TaskError; readonly from?: TaskState } = {},
  ): Promise<boolean> {
    return this.#deps.repository.tryMove(this.#id, input, { cause, actor: 'capture', ...more });
  }

  /** Records what went wrong and waits; false if the task is not to be tried again. */
  async #failed(thrown: unknown): Promise<boolean> {
    if (this.#stop.aborted || this.#current.signal.aborted) return !this.#stop.aborted;
    const error = asPgtwinError(translateOwn(thrown));
    if (error.code === 'lease-lost' || error.code === 'not-found') return false;
    const { clock, repository } = this.#deps;
    this.#log.error('task interrupted', { code: error.code, attempt: this.#attempt, error });
    const facts = {
      code: error.code,
      detail: error.message,
      advice: error.rule.advice,
      at: clock.now().toISOString(),
    };
    this.#retries += 1;
    this.#deps.counters?.add(this.#id, { Retries: 1 });
    const never = error.rule.retry === 'never';
    await this.#move(never ? 'give-up' : 'error', error.message, { error: facts }).catch(() => {});
    if (never) return false;
    this.#noteRetrying(true);
    // The password may have been changed.
    if (error.code === 'login-failed') await this.#forgetSecrets().catch(() => {});
    const waitMs = backoffMs(this.#attempt, clock.random());
    this.#attempt += 1;
    await clock.sleep(waitMs, AbortSignal.any([this.#stop, this.#current.signal]));
    const task = await repository.getTask(this.#id).catch(() => undefined);
    return task === undefined || task.state !== 'Failed';
  }

  async #forgetSecrets(): Promise<void> {
    const { repository, secrets } = this.#deps;
    const pair = await repository.getPair((await repository.getTask(this.#id)).pairId);
    for (const { secret } of Object.values(pair.sides)) secrets.forget?.(secret);
  }
}
