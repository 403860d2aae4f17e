import type { ApiClient, Configure } from '../../shared/client/client.ts';
import type { PairView } from '../../shared/client/contract.ts';
import type { GivenSide } from '../../shared/client/given-side.ts';
import { reachStates } from '../../shared/client/reach.ts';
import { directions, type TaskState } from '../../shared/task/schema.ts';

/** A pair with both tasks configured for the same tables; nothing is started. Gives its id. */
export async function makePair(
  api: ApiClient,
  options: {
    readonly name: string;
    readonly sides: Readonly<Record<'a' | 'b', GivenSide>>;
    /** Both tasks' configuration; default: all tables. */
    readonly config?: Configure;
  },
): Promise<string> {
  const { name, sides, config = { objects: { include: [{ schema: '*' }] } } } = options;
  const { id } = await api.createPair({ name, sides });
  await api.configureBoth(id, { forward: config, reverse: { ...config, autoStart: true } });
  return id;
}

/** Waits until both tasks are in `state`; throws what a task failed with. `onLook` sees each look at the pair. */
export const reachBoth = (
  api: ApiClient,
  pair: string,
  state: TaskState,
  options: {
    readonly signal: AbortSignal;
    readonly onLook?: (pair: PairView) => void;
    readonly everyMs?: number;
  },
): Promise<PairView> => reachStates(api, pair, { ...options, directions, states: [state] });
