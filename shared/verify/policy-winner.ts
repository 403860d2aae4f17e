import { policyOf } from '../task/conflict-config.ts';
import {
  type Direction,
  directionTo,
  opposite,
  type Pair,
  type Side,
  sourceOf,
  type TaskConfig,
} from '../task/schema.ts';
import type { TwinName } from './twin.ts';

/**
 * The side whose rows stay where a table's conflict policy decides: with `source-priority` the preferred one, with
 * `overwrite` the one whose changes arrive at the arbiter, else the arbiter. One way, only the source can win.
 */
export function policyWinner(
  { arbiter }: Pick<Pair, 'arbiter'>,
  configs: Readonly<Partial<Record<Direction, TaskConfig>>>,
  { way, names }: Pick<TwinName, 'way' | 'names'>,
): Side {
  if (way !== 'both') return sourceOf(way);
  const deciding = directionTo(arbiter);
  const config = configs[deciding];
  if (!config) return sourceOf(opposite(deciding));
  const { policy, preferredSide } = policyOf(config, names[sourceOf(deciding)]);
  if (policy === 'source-priority') return preferredSide;
  return policy === 'overwrite' ? sourceOf(deciding) : arbiter;
}
