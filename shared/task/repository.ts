import type { z } from 'zod';
import { PgtwinError } from '../errors/pgtwin-error.ts';
import { type LimitsPatch, noLimits, patchedLimits } from './load-limits.ts';
import { next, type TaskInput } from './machine.ts';
import { readPaged, writePaged } from './paged-item.ts';
import {
  directions,
  oppositeTask,
  type Pair,
  pair,
  pairOfTask,
  type Side,
  type Task,
  type TaskConfig,
  type TaskError,
  type TaskState,
  type TaskStatus,
  task,
  taskConfig,
  taskIdOf,
  taskStatus,
} from './schema.ts';
import type { Table } from './table.ts';

const EVENTS_KEPT_IN_TASK = 30;
const TRIES = 20;

export type Move = {
  readonly cause: string;
  readonly actor: string;
  readonly error?: TaskError;
  /** Only from this state, whatever the machine allows; a task that has moved on meanwhile is left alone. */
  readonly from?: TaskState;
  /** Only if it is in Retrying since then: not another, later trouble. */
  readonly retryingSince?: string;
  /** With a restart: both sides are to be compared and repaired behind it. */
  readonly verify?: { readonly winner?: Side | undefined };
};

/**
 * Reads and writes pairs and tasks. Keys: ('pairs', pair), ('tasks', task), and in the partition of each task
 * 'config', 'status', 'lease', 'checkpoint', 'prepared', 'precheck', 'event#…', 'chunk#…', 'table#…', 'history#…'.
 */
export class Repository {
  readonly table: Table;
  readonly #now: () => Date;

  constructor(table: Table, now: () => Date = () => new Date()) {
    this.table = table;
    this.#now = now;
  }

  /** Stores a new pair with its two unconfigured tasks. The tasks come first: a pair that is listed is whole. */
  async createPair(value: Pair): Promise<void> {
    const at = this.#now().toISOString();
    for (const direction of directions) {
      const item: Task = {
        id: taskIdOf(value.id, direction),
        pairId: value.id,
        direction,
        state: 'NotConfigured',
        version: 1,
        configVersion: 0,
        generation: 0,
        autoStart: false,
        events: [],
        createdAt: at,
        updatedAt: at,
      };
      await this.table.put({ pk: 'tasks', sk: item.id, version: 1, body: item }, 'absent');
    }
    const stored = await this.table.put({ pk: 'pairs', sk: value.id, version: 1, body: value }, 'absent');
    if (!stored)
      throw new PgtwinError('conflict-of-versions', { detail: `Pair ${value.id} exists already.` });
  }

  async getPair(id: string): Promise<Pair> {
    const item = await this.table.get('pairs', id);
    if (!item) throw new PgtwinError('not-found', { detail: `There is no pair ${id}.` });
    return read(pair, item.body, `pair ${id}`);
  }

  async listPairs(limit = 100, after?: string): Promise<{ pairs: Pair[]; next?: string }> {
    const page = await this.table.query('pairs', { limit, ...(after ? { after } : {}) });
    const pairs = page.items.map((i) => read(pair, i.body, `pair ${i.sk}`));
    return page.next ? { pairs, next: page.next } : { pairs };
  }

  async getTask(id: string): Promise<Task> {
    const item = await this.table.get('tasks', id);
    if (!item) throw new PgtwinError('not-found', { detail: `There is no task ${id}.` });
    return read(task, item.body, `task ${id}`);
  }

  /** A task and the one of the other direction, as one request. */
  async getTaskWithOpposite(id: string): Promise<{ task: Task; other: Task }> {
    const { items } = await this.table.query('tasks', { prefix: `${pairOfTask(id)}_` });
    const found = (sk: string): Task => {
      const item = items.find((each) => each.sk === sk);
      if (!item) throw new PgtwinError('not-found', { detail: `There is no task ${sk}.` });
      return read(task, item.body, `task ${sk}`);
    };
    return { task: found(id), other: found(oppositeTask(id)) };
  }

  /** All tasks, whatever their state. */
  async listTasks(): Promise<Task[]> {
    const tasks: Task[] = [];
    let after: string | undefined;
    do {
      const page = await this.table.query('tasks', after ? { after } : {});
      tasks.push(...page.items.map((i) => read(task, i.body, `task ${i.sk}`)));
      after = page.next;
    } while (after);
    return tasks;
  }

  /**
   * The only writer of a task's state: applies the state machine, conditional on the stored version, with the event
   * in the same item write. Throws `action-not-allowed` if the state does not allow the input.
   */
  async move(id: string, input: TaskInput, why: Move): Promise<Task> {
    return this.#change(id, (current) => {
      const moved = next(current, input);
      if (movedOn(current, why))
        throw new PgtwinError('action-not-allowed', {
          detail: `Task ${id} is in state ${current.state} meanwhile.`,
          state: current.state,
          input,
        });
      const at = this.#now().toISOString();
      const event = { at, from: current.state, to: moved.state, input, cause: why.cause, actor: why.actor };
      const { returnTo: _returnTo, error: _error, retryingSince: _since, ...others } = current;
      const { failedSince: _failed, verifyAfter, ...rest } = others;
      // A restart has a verification of its own, or none; every other move leaves that of the one before.
      const wanted = why.verify ? { ...why.verify, at, by: why.actor } : undefined;
      const follows = input === 'restart' ? wanted : verifyAfter;
      const failing = moved.state === 'Retrying' || moved.state === 'Failed';
      const error = why.error ?? (failing || moved.state === 'Paused' ? current.error : undefined);
      return {
        ...rest,
        state: moved.state,
        ...(follows ? { verifyAfter: follows } : {}),
        ...(moved.returnTo ? { returnTo: moved.returnTo } : {}),
        ...(error ? { error } : {}),
        ...(moved.state === 'Retrying' ? { retryingSince: current.retryingSince ?? at } : {}),
        ...(moved.state === 'Failed' ? { failedSince: current.failedSince ?? at } : {}),
        generation: current.generation + (input === 'start' || input === 'restart' ? 1 : 0),
        events: [...current.events, event],
      };
    });
  }

  /** Like `move`, but false instead of an error if the state does not allow the input (somebody was faster). */
  async tryMove(id: string, input: TaskInput, why: Move): Promise<boolean> {
    try {
      await this.move(id, input, why);
      return true;
    } catch (error) {
      if (isRefusal(error)) return false;
      throw error;
    }
  }

  /** Writes an event that is no change of state: what a person or a component did with the task. */
  async note(
    id: string,
    { input, cause, actor }: { input: string; cause: string; actor: string },
  ): Promise<void> {
    await this.#change(id, (current) => {
      const at = this.#now().toISOString();
      const event = { at, from: current.state, to: current.state, input, cause, actor };
      return { ...current, events: [...current.events, event] };
    });
  }

  /**
   * Notes which verification follows the restart that was asked for at `at`, or, with `undefined`, that it is over.
   * False if the task was restarted again since, or is gone.
   */
  async setVerifyAfter(id: string, at: string, run: string | undefined): Promise<boolean> {
    try {
      await this.#change(id, (current) => {
        const { verifyAfter, ...rest } = current;
        if (verifyAfter?.at !== at)
          throw new PgtwinError('action-not-allowed', { detail: `Task ${id} was restarted again.` });
        return run === undefined ? rest : { ...rest, verifyAfter: { ...verifyAfter, run } };
      });
      return true;
    } catch (error) {
      if (isRefusal(error)) return false;
      throw error;
    }
  }

  /** Stores a configuration and moves the task to NotConfigured (a precheck must follow). Raises configVersion. */
  async configure(id: string, config: TaskConfig, autoStart: boolean, why: Move): Promise<Task> {
    const before = await this.getTask(id);
    next(before, 'configure');
    const configVersion = before.configVersion + 1;
    // The configuration first, under its own version; the task then points at it in one conditional write.
    await writePaged(this.table, id, configKey(configVersion), config);
    return this.#change(id, (current) => {
      const moved = next(current, 'configure');
      const at = this.#now().toISOString();
      const event = { at, from: current.state, to: moved.state, input: 'configure', ...whyOf(why) };
      const { limits } = config;
      const events = [...current.events, event];
      return { ...current, state: moved.state, configVersion, autoStart, limits, events };
    });
  }

  /** The configuration that the task points at now. */
  async getConfig(of: Task): Promise<TaskConfig> {
    const body = await readPaged(this.table, of.id, configKey(of.configVersion));
    if (body === undefined)
      throw new PgtwinError('not-found', { detail: `Task ${of.id} has no configuration yet.` });
    return read(taskConfig, body, `configuration of task ${of.id}`);
  }

  /** Changes what a task may take from its source; capture and copy see it within moments, in any state. */
  async setLimits(id: string, patch: LimitsPatch, why: Pick<Move, 'actor'>): Promise<Task> {
    return this.#change(id, (current) => {
      if (current.configVersion === 0)
        throw new PgtwinError('action-not-allowed', { detail: `Task ${id} has no configuration yet.` });
      const at = this.#now().toISOString();
      const { state } = current;
      const cause = `limits changed: ${JSON.stringify(patch)}`;
      const event = { at, from: state, to: state, input: 'limits', cause, actor: why.actor };
      const limits = patchedLimits(current.limits ?? noLimits, patch);
      return { ...current, limits, events: [...current.events, event] };
    });
  }

  async putStatus(id: string, status: TaskStatus): Promise<void> {
    await this.table.put({ pk: id, sk: 'status', version: 1, body: status }, 'any');
  }

  async getStatus(id: string): Promise<TaskStatus | undefined> {
    const item = await this.table.get(id, 'status');
    return item ? read(taskStatus, item.body, `status of task ${id}`) : undefined;
  }

  /** Removes a released pair, its tasks and everything in their partitions. Safe to repeat. */
  async removePair(id: string): Promise<void> {
    for (const direction of directions) {
      const taskId = taskIdOf(id, direction);
      let more = true;
      while (more) {
        const page = await this.table.query(taskId, { limit: 100 });
        for (const item of page.items) await this.table.remove(item.pk, item.sk);
        more = page.items.length > 0;
      }
      await this.table.remove('tasks', taskId);
    }
    await this.table.remove('pairs', id);
  }

  /** Older events than the newest thirty are items of their own, written before they leave the task (idempotent). */
  async #change(id: string, change: (current: Task) => Omit<Task, 'version' | 'updatedAt'>): Promise<Task> {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const current = await this.getTask(id);
      const changed: Task = {
        ...change(current),
        version: current.version + 1,
        updatedAt: this.#now().toISOString(),
      };
      const overflow = changed.events.length - EVENTS_KEPT_IN_TASK;
      for (const [n, event] of changed.events.slice(0, Math.max(0, overflow)).entries())
        await this.table.put(
          { pk: id, sk: `event#${event.at}#${event.input}#${n}`, version: 1, body: event },
          'any',
        );
      const stored = { ...changed, events: changed.events.slice(-EVENTS_KEPT_IN_TASK) };
      if (
        await this.table.put({ pk: 'tasks', sk: id, version: stored.version, body: stored }, current.version)
      )
        return stored;
    }
    throw new PgtwinError('conflict-of-versions', { detail: `Task ${id} is changed by many at once.` });
  }
}

const isRefusal = (error: unknown): boolean =>
  error instanceof PgtwinError && (error.code === 'action-not-allowed' || error.code === 'not-found');

const movedOn = (current: Task, { from, retryingSince }: Move): boolean =>
  (from !== undefined && current.state !== from) ||
  (retryingSince !== undefined && current.retryingSince !== retryingSince);

const whyOf = ({ cause, actor }: Move) => ({ cause, actor });
const configKey = (version: number): string => `config#${pad(version)}`;
const pad = (n: number): string => String(n).padStart(8, '0');

function read<T>(schema: z.ZodType<T>, body: unknown, what: string): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new PgtwinError('internal', {
    detail: `The stored ${what} is not readable: ${parsed.error.message}`,
  });
}
