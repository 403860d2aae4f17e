import type { ConflictKind, Version } from '../kinds.ts';
import type { Key, Row, Side, Table } from '../rows.ts';

/** Every policy's name, as configured. `delta` is `fallback` plus increments that add up. */
export const policyNames = [
  'task-failed',
  'ignore',
  'overwrite',
  'last-write-wins',
  'source-priority',
  'merge-columns',
  'delta',
  'resolver',
] as const;
export type PolicyName = (typeof policyNames)[number];

/** Policies that decide between two whole versions: what merges fall back to where there is nothing to merge. */
export const wholeRowPolicies = [
  'task-failed',
  'ignore',
  'overwrite',
  'last-write-wins',
  'source-priority',
] as const satisfies readonly PolicyName[];
export type WholeRowPolicy = (typeof wholeRowPolicies)[number];

/** What an update of a row that is gone means: it comes back, it stays deleted, or the later of both wins. */
export type OnDeleted = 'restore' | 'stay-deleted' | 'by-time';

/** Two versions that do not know of each other. `base`: the row that the arriving change was made on, where known. */
export type Contest = {
  readonly kind: ConflictKind;
  readonly table: Table;
  readonly key: Key;
  readonly source: Version;
  readonly local: Version;
  readonly base: Row | null;
};

/** Who wins: the arriving change, the local version, neither (no row), nobody (the task stops), or a row made of both. */
export type Verdict = 'source' | 'destination' | 'delete' | 'fail' | { readonly row: Row };

export type Policy = (contest: Contest, settings: Settings) => Verdict;

/**
 * A user's decision, pure (shared/task/load-resolver.ts makes one of a module's text). A row must be whole and have the key of the contest. Where two different rows want one unique
 * value (`insert_exists`, `update_exists`, `multiple_unique_conflicts` with another key in `local.row`) only `source`,
 * `destination` and `fail` make sense. Anything else, and what it throws, counts as `fail`.
 */
export type Resolver = (contest: Contest) => Row | 'source' | 'destination' | 'delete' | 'fail';

/** How a table's conflicts are decided, at the arbiter. Task-wide settings with the table's own over them. */
export type Settings = {
  readonly policy: PolicyName;
  readonly onDeleted: OnDeleted;
  /** The side that `source-priority` prefers, and that wins ties and unknown times. */
  readonly preferredSide: Side;
  /** Decides what `merge-columns` and `delta` can not. */
  readonly fallback: WholeRowPolicy;
  /** Numeric columns whose increments add up, with any policy. Their tables need REPLICA IDENTITY FULL. */
  readonly deltaColumns: readonly number[];
  readonly resolver?: Resolver;
};
