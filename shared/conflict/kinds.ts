import type { Key, Row, Side } from './rows.ts';

/**
 * What can be in conflict. The first eight are PostgreSQL's names (manual, 29.8); `truncate` is a row that a TRUNCATE
 * did not know, `key_change` a change of the key that could not go as planned, `foreign_key` a child without parent (logged under the
 * parent's key where the parent is kept or asked for, under its own where it goes).
 */
export const conflictKinds = [
  'insert_exists',
  'update_origin_differs',
  'update_exists',
  'update_missing',
  'update_deleted',
  'delete_origin_differs',
  'delete_missing',
  'multiple_unique_conflicts',
  'foreign_key',
  'truncate',
  'key_change',
] as const;

export type ConflictKind = (typeof conflictKinds)[number];

/**
 * How a conflict ended: the arriving change won, the local row stayed, both were merged, the change waits for a value
 * (`asked`), it lacks one that nobody can give (`incomplete`: no reverse task), nothing was to do, or the task stops.
 */
export type ConflictResult =
  | 'source'
  | 'destination'
  | 'merged'
  | 'asked'
  | 'incomplete'
  | 'nothing'
  | 'stopped';

/** One version in a conflict: null is a deletion; the time is hybrid, in microseconds, null where it is unknown. */
export type Version = { readonly row: Row | null; readonly time: bigint | null; readonly side: Side };

/** A line of the conflict log. `unsure`: the local version may have been seen (a subtransaction's, see `isUnsure`). */
export type ConflictEntry = {
  readonly kind: ConflictKind;
  readonly unsure: boolean;
  readonly policy: string;
  readonly result: ConflictResult;
  readonly key: Key;
  readonly source: Version;
  readonly destination: Version;
};
