import { setTimeout as pause } from 'node:timers/promises';
import { PgtwinError } from '../errors/pgtwin-error.ts';
import { type ErrorCode, errors } from '../errors/table.ts';
import type { Direction, TaskState } from '../task/schema.ts';
import type { ApiClient } from './client.ts';
import type { PairView } from './contract.ts';

/**
 * Waits until the named tasks are in one of `states`; throws what a task failed with, unless Failed is awaited.
 * `onLook` sees each look at the pair.
 */
export async function reachStates(
  api: ApiClient,
  pair: string,
  options: {
    readonly directions: readonly Direction[];
    readonly states: readonly TaskState[];
    readonly signal: AbortSignal;
    readonly onLook?: (pair: PairView) => void;
    readonly everyMs?: number;
  },
): Promise<PairView> {
  const { directions, states, signal, onLook, everyMs = 150 } = options;
  for (;;) {
    signal.throwIfAborted();
    const seen = await api.getPair(pair);
    onLook?.(seen);
    const tasks = directions.map((direction) => seen.tasks[direction]);
    if (tasks.every((task) => states.includes(task.state))) return seen;
    const failed = tasks.find((task) => task.state === 'Failed');
    if (failed && !states.includes('Failed')) {
      const { code = 'internal', detail, advice } = failed.error ?? {};
      throw new PgtwinError(code in errors ? (code as ErrorCode) : 'internal', {
        detail: `The ${failed.direction} task failed: ${detail ?? 'its events say why'}`,
        ...(advice ? { advice } : {}),
      });
    }
    await pause(everyMs, undefined, { signal });
  }
}
