import { setTimeout as pause } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import type { ApiClient } from '../../shared/client/client.ts';
import type { PairView } from '../../shared/client/contract.ts';
import { reachStates } from '../../shared/client/reach.ts';
import { asPgtwinError, PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { Direction, TaskState } from '../../shared/task/schema.ts';
import type { Context } from './command.ts';
import type { Io } from './io.ts';
import { pairLines } from './status-text.ts';

/** An API that is away for less than this is waited for. */
const PATIENCE_MS = 30_000;
const AGAIN_MS = 500;
const KEPT = 60;

/** The client, for those who look at a pair again and again: a short absence of the API does not end them. */
export function patient(api: ApiClient, signal: AbortSignal, patienceMs = PATIENCE_MS): ApiClient {
  return {
    ...api,
    async getPair(id) {
      const until = performance.now() + patienceMs;
      for (;;) {
        try {
          return await api.getPair(id);
        } catch (error) {
          if (asPgtwinError(error).code !== 'api-unreachable' || performance.now() > until) throw error;
        }
        await pause(AGAIN_MS, undefined, { signal });
      }
    },
  };
}

/** Draws the same lines again and again where the terminal allows it; elsewhere only what changed. */
export function openScreen(io: Pick<Io, 'out' | 'terminal'>) {
  let height = 0;
  let last = '';
  return {
    draw(lines: readonly string[], change = lines.join('\n')): void {
      if (!io.terminal) {
        if (change !== last) io.out.write(`${lines.join('\n')}\n`);
        last = change;
        return;
      }
      const width = io.out.columns ?? 80;
      const up = height > 0 ? `\u001b[${height}A` : '';
      io.out.write(`${up}\r\u001b[J${lines.join('\n')}\n`);
      const rows = (line: string) => Math.max(1, Math.ceil(stripVTControlCharacters(line).length / width));
      height = lines.reduce((sum, line) => sum + rows(line), 0);
    },
  };
}

/** Gives what to call at each look: shows states, progress and latency as they are now. */
export function statusDrawer({ io, paint, json }: Context, directions: readonly Direction[]) {
  const screen = openScreen(io);
  const latencies = new Map(directions.map((direction) => [direction, [] as (number | null)[]]));
  return (pair: PairView): void => {
    if (json) return;
    for (const direction of directions) {
      const seen = latencies.get(direction)!;
      seen.push(pair.tasks[direction].status?.latencySeconds ?? null);
      if (seen.length > KEPT) seen.shift();
    }
    const change = directions.map((direction) => {
      const { state, error, status } = pair.tasks[direction];
      return [state, error?.detail, status?.copy && Math.floor(status.copy.percent / 10)].join();
    });
    const shown = io.terminal ? { latencies } : {};
    screen.draw(pairLines(pair, { directions, paint, now: new Date(), ...shown }), change.join('\n'));
  };
}

/** Waits until the tasks are in one of `states`, and shows the way there. Throws what a task failed with. */
export async function waitFor(
  context: Context,
  options: {
    readonly pair: string;
    readonly directions: readonly Direction[];
    readonly states: readonly TaskState[];
    readonly timeoutSeconds: number;
    readonly onLook?: (pair: PairView) => void;
    readonly everyMs?: number;
  },
): Promise<PairView> {
  const { pair, directions, states, timeoutSeconds, everyMs = context.io.terminal ? 250 : 150 } = options;
  const { onLook = statusDrawer(context, directions) } = options;
  const late = AbortSignal.timeout(timeoutSeconds * 1000);
  const signal = AbortSignal.any([context.io.signal, late]);
  let last: PairView | undefined;
  try {
    return await reachStates(patient(context.api, signal), pair, {
      ...{ directions, states, signal, everyMs },
      onLook: (seen) => {
        last = seen;
        onLook(seen);
      },
    });
  } catch (error) {
    if (!late.aborted) throw error;
    const now = directions.map(
      (direction) => `${direction} is ${last?.tasks[direction].state ?? 'not known'}`,
    );
    throw new PgtwinError('wait-ended', {
      detail: `Not ${states.join(' or ')} within ${timeoutSeconds} s: ${now.join(', ')}.`,
    });
  }
}

export const waitOptions = {
  wait: { type: 'boolean', help: 'wait until it is done, and show the way there' },
  timeout: { type: 'string', value: 'SECONDS', help: 'with --wait: give up after this long (3600)' },
} as const;
