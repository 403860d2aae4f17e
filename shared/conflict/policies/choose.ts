import { delta } from './delta.ts';
import { ignore } from './ignore.ts';
import { lastWriteWins } from './last-write-wins.ts';
import { mergeColumns } from './merge-columns.ts';
import { overwrite } from './overwrite.ts';
import type { Policy, Settings, WholeRowPolicy } from './policy.ts';
import { resolver } from './resolver.ts';
import { sourcePriority } from './source-priority.ts';
import { taskFailed } from './task-failed.ts';

const wholeRow: Record<WholeRowPolicy, Policy> = {
  'task-failed': taskFailed,
  ignore,
  overwrite,
  'last-write-wins': lastWriteWins,
  'source-priority': sourcePriority,
};

/** The policy of a table between two versions of one row; a person's choice stands for it, but increments still count. */
export const rowPolicy = (settings: Settings, choice?: 'source' | 'destination'): Policy => {
  const rest = choice === undefined ? restOf(settings) : () => choice;
  return settings.deltaColumns.length > 0 ? delta(rest) : rest;
};

const restOf = (settings: Settings): Policy => {
  if (settings.policy === 'resolver') return resolver;
  if (settings.policy === 'merge-columns') return mergeColumns(wholeRow[settings.fallback]);
  return wholeRowPolicy(settings);
};

/** The policy between two rows of which only one can stay: there is nothing to merge. */
export const wholeRowPolicy = (settings: Settings): Policy =>
  settings.policy === 'merge-columns' || settings.policy === 'delta'
    ? wholeRow[settings.fallback]
    : settings.policy === 'resolver'
      ? resolver
      : wholeRow[settings.policy];
