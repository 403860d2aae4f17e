import { policyOf } from '../../../shared/task/conflict-config.ts';
import { readPrepared } from '../../../shared/task/prepared.ts';
import type { Repository } from '../../../shared/task/repository.ts';
import {
  type Direction,
  directions,
  directionTo,
  opposite,
  type Pair,
  type Side,
  sourceOf,
  type Task,
  type TaskConfig,
  taskIdOf,
} from '../../../shared/task/schema.ts';
import { isDecidedTogether } from '../../../shared/task/together.ts';
import type { Verification } from '../../../shared/verify/model.ts';
import { policyWinner } from '../../../shared/verify/policy-winner.ts';
import { chosenTwins, type TwinName, twinNames } from '../../../shared/verify/twin.ts';

/** What a step of a verification must know of its pair. */
export type PairContext = {
  readonly pair: Pair;
  /** Directions whose stream runs: what differs there may be on its way. */
  readonly streaming: readonly Direction[];
  readonly twins: readonly TwinName[];
  /** Conflicts of mirrored tables are decided at the arbiter. */
  readonly together: boolean;
  /** False where a conflict over the table would stop a task. */
  readonly mayConflict: (twin: TwinName) => boolean;
  /** The side that the table's conflict policy speaks for. */
  readonly winner: (twin: Pick<TwinName, 'way' | 'names'>) => Side;
};

/** A run that can't go on: for now (`waiting`), or never (`over`). */
export type Hindrance = { readonly waiting: string } | { readonly over: string };

type Known = { readonly task: Task; readonly config: TaskConfig };

/** Reads the pair and its tasks, or says why nothing can be done now. */
export async function readContext(
  repository: Repository,
  run: Verification,
): Promise<PairContext | Hindrance> {
  const pair = await repository.getPair(run.pairId);
  const known: { [D in Direction]?: Known & { readonly list: readonly Prepared[] } } = {};
  const streaming: Direction[] = [];
  for (const direction of directions) {
    const task = await repository.getTask(taskIdOf(pair.id, direction));
    if (task.generation !== run.generations[direction])
      return { over: `The ${direction} task was started anew: what was compared before says nothing of it.` };
    if (task.generation === 0) continue;
    if (task.state === 'Releasing' || task.state === 'Released')
      return { over: `The ${direction} task was released.` };
    if (task.state !== 'Running' && task.state !== 'Finished')
      return { waiting: `The ${direction} task is ${task.state}.` };
    const [config, prepared] = await Promise.all([
      repository.getConfig(task),
      readPrepared(repository.table, task.id),
    ]);
    if (!prepared) return { waiting: `The ${direction} task is not prepared yet.` };
    known[direction] = { task, config, list: prepared.list };
    if (task.state === 'Running' && config.types.incremental) streaming.push(direction);
  }
  const all = twinNames(known.forward, known.reverse);
  const deciding = directionTo(pair.arbiter);
  const configs: { [D in Direction]?: TaskConfig } = {};
  for (const direction of directions) if (known[direction]) configs[direction] = known[direction].config;
  return {
    pair,
    streaming,
    twins: chosenTwins(all, run.options.tables),
    together:
      streaming.length === 2 && isDecidedTogether(known[deciding]?.config, known[opposite(deciding)]?.config),
    winner: (twin) => policyWinner(pair, configs, twin),
    mayConflict: ({ names }) =>
      directions.every((direction) => {
        const config = known[direction]?.config;
        return !config || policyOf(config, names[sourceOf(direction)]).policy !== 'task-failed';
      }),
  };
}
type Prepared = { readonly schema: string; readonly name: string; readonly key: string[] };
