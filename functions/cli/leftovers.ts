import type { PairView } from '../../shared/client/contract.ts';
import type { Direction } from '../../shared/task/schema.ts';

/** What a release could not drop, with the SQL that does it by hand. */
export const leftoverLines = (pair: PairView, directions: readonly Direction[]): string[] =>
  directions.flatMap((direction) => {
    const { state, error } = pair.tasks[direction];
    return state === 'Released' && error
      ? [
          `${direction}: some things were left behind. ${error.advice}`,
          ...error.detail.split('\n').map((line) => `  ${line}`),
        ]
      : [];
  });
