import { setTimeout as pause } from 'node:timers/promises';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { type ErrorCode, errors } from '../../shared/errors/table.ts';
import { type Direction, directions, type TaskStatus } from '../../shared/task/schema.ts';
import type { ApiClient } from './api-client.ts';
import type { GivenSide } from './start-options.ts';

export type TaskFacts = {
  readonly state: string;
  readonly status?: TaskStatus;
  readonly error?: { readonly code: string; readonly detail: string; readonly advice: string };
};
export type PairFacts = {
  readonly id: string;
  readonly name: string;
  readonly sides: Readonly<Record<'a' | 'b', { host: string; port: number; database: string }>>;
  readonly tasks: Readonly<Record<Direction, TaskFacts>>;
};
export type ReportItem = {
  readonly item: string;
  readonly title: string;
  readonly status: 'passed' | 'alert' | 'failed';
  readonly ignored: boolean;
  readonly ignorable: boolean;
  readonly cause: string;
  readonly details: readonly string[];
  readonly fix: readonly { readonly side: 'source' | 'destination'; readonly sql: string }[];
};
export type Report = {
  readonly ready: boolean;
  readonly tables: number;
  readonly items: readonly ReportItem[];
};
export type Reports = Readonly<Record<Direction, Report>>;

export const taskPath = (pair: string, direction: Direction): string =>
  `/v1/pairs/${pair}/tasks/${direction}`;

/** The pairs of the platform, the newest page of them. */
export async function listPairs(api: ApiClient): Promise<readonly PairFacts[]> {
  return (await api.call<{ pairs: PairFacts[] }>('GET', '/v1/pairs')).pairs;
}

/** A pair with both tasks configured for the same tables; nothing is started. Gives its id. */
export async function makePair(
  api: ApiClient,
  options: {
    readonly name: string;
    readonly sides: Readonly<Record<'a' | 'b', GivenSide>>;
    /** Fields of both tasks' configuration; default: all tables. */
    readonly config?: object;
  },
): Promise<string> {
  const { name, sides, config = { objects: { include: [{ schema: '*' }] } } } = options;
  const { id } = await api.call<{ id: string }>('POST', '/v1/pairs', { name, sides });
  await api.call('POST', `/v1/pairs/${id}/configure`, {
    forward: config,
    reverse: { ...config, autoStart: true },
  });
  return id;
}

/** Runs the precheck of both tasks; alerts are ignored, failures stay. */
export const precheckPair = (api: ApiClient, pair: string): Promise<Reports> =>
  api.call<Reports>('POST', `/v1/pairs/${pair}/precheck`, { ignoreAlerts: true });

/** Starts the forward task; the reverse one follows when that runs. */
export const startPair = (api: ApiClient, pair: string): Promise<unknown> =>
  api.call('POST', `${taskPath(pair, 'forward')}/start`);

/** Waits until both tasks are in `state`; throws what a task failed with. `onLook` sees each look at the pair. */
export async function reachBoth(
  api: ApiClient,
  pair: string,
  state: string,
  options: {
    readonly signal: AbortSignal;
    readonly onLook?: (facts: PairFacts) => void;
    readonly everyMs?: number;
  },
): Promise<void> {
  const { signal, onLook, everyMs = 150 } = options;
  for (;;) {
    signal.throwIfAborted();
    const facts = await api.call<PairFacts>('GET', `/v1/pairs/${pair}`);
    onLook?.(facts);
    const tasks = directions.map((direction) => facts.tasks[direction]);
    const failed = tasks.find((task) => task.state === 'Failed');
    if (failed?.error) {
      const { code, detail } = failed.error;
      throw new PgtwinError(code in errors ? (code as ErrorCode) : 'internal', { detail });
    }
    if (tasks.every((task) => task.state === state)) return;
    await pause(everyMs, undefined, { signal });
  }
}
