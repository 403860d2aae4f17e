import type { ConflictEntry } from './kinds.ts';
import { type Key, type Row, type Side, sameKey, type Table, type Unique, uniqueValues } from './rows.ts';

/**
 * What arrives, as the decision code takes it. `row` of an update or move may have unsent values; `old` is the whole
 * old row where REPLICA IDENTITY FULL carries it. `move` is an update that changes the key. A TRUNCATE arrives as one
 * `truncate-row` for each local row, and for each key with an open outcome or pull. Then control rows; the last three do
 * not arrive, but come of a foreign key that is violated when a transaction is about to end (foreign-keys.ts).
 */
export type Change =
  | { readonly op: 'insert'; readonly key: Key; readonly row: Row }
  | { readonly op: 'update'; readonly key: Key; readonly row: Row; readonly old: Row | null }
  | { readonly op: 'move'; readonly key: Key; readonly to: Key; readonly row: Row; readonly old: Row | null }
  | { readonly op: 'delete'; readonly key: Key; readonly old: Row | null }
  | { readonly op: 'truncate-row'; readonly key: Key }
  | { readonly op: 'pull'; readonly key: Key; readonly id: string }
  | { readonly op: 'answer'; readonly key: Key; readonly row: Row | null; readonly id: string }
  | { readonly op: 'outcome'; readonly key: Key; readonly row: Row | null; readonly pull: string | null }
  | { readonly op: 'keep-parent'; readonly key: Key; readonly row: Row }
  | { readonly op: 'ask-parent'; readonly key: Key }
  | { readonly op: 'drop-child'; readonly key: Key };

/** Where a change comes from: its transaction's position, hybrid time (`hybrid-time.ts`) and side. */
export type SourceFacts = { readonly position: string; readonly time: bigint | null; readonly side: Side };

/**
 * A local row as it was read **under its row lock**, or that there is none.
 * - `unseen`: `isUnseen` of its xmin for this change's `seen`; or, at the arbiter, the key has an outcome or a pull
 *   whose transaction this change's author had not seen (control rows' xmin, without own xids). The second holds for a
 *   missing row as well. At the follower, an outcome that answers the open pull of its key has seen every version that
 *   this pull met (`met`): B had applied all that A committed before the pull, subtransactions too.
 * - `time`: of the version (an open outcome's, where it has one), or of the deletion where a tombstone is known.
 * - `pull`: at the follower, the key's open pull (with what this transaction did to it), and whether anything of the key
 *   was skipped since it was made; else null. Left out, no pull would ever be closed.
 * - `outside`: the row lies outside this side's own row filter.
 */
export type Local = {
  readonly key: Key;
  readonly row: Row | null;
  readonly unseen: boolean;
  readonly unsure: boolean;
  readonly time: bigint | null;
  readonly side: Side;
  /** There is no row, and a tombstone tells that a user of this side deleted it; `time` is null if times are unknown. */
  readonly deleted?: boolean;
  readonly pull: { readonly id: string; readonly skipped: boolean } | null;
  readonly outside?: boolean;
};

/**
 * What the decision code asks for, in order; a step is carried out, in the destination's transaction, before the next
 * one is taken, so that a read sees what was written.
 * - `read`: answered with a `Local`. By unique: the one row that has these values.
 * - `insert`, `update` (leaves unsent values alone, may change the key), `delete`: as planned, under the locks held.
 * - `outcome`: at the end of the transaction, once per key, the row as it is then (locked; null if there is none).
 * - `pull`: asks the other side for a key. At the follower one that is open stays and is marked `skipped`;
 *   a new one keeps the xmins of the rows named in `met`. At the arbiter always a new one.
 * - `close`: the key's open pull is answered. `answer`: the row as it is (locked), to the pull with this id.
 * - `log`: a line of the conflict log. `stop`: roll back, record the conflict in a transaction of its own, fail the task.
 */
export type Step =
  | { readonly do: 'read'; readonly by: 'key'; readonly key: Key }
  | { readonly do: 'read'; readonly by: 'unique'; readonly unique: Unique; readonly values: Row }
  | { readonly do: 'insert'; readonly row: Row }
  | { readonly do: 'update'; readonly key: Key; readonly row: Row }
  | { readonly do: 'delete'; readonly key: Key }
  | { readonly do: 'outcome'; readonly key: Key; readonly pull?: string }
  | { readonly do: 'pull'; readonly key: Key; readonly met: readonly Key[] }
  | { readonly do: 'close'; readonly key: Key }
  | { readonly do: 'answer'; readonly key: Key; readonly pull: string }
  | { readonly do: 'log'; readonly entry: ConflictEntry }
  | { readonly do: 'stop'; readonly entry: ConflictEntry };

/** A decision under way: pure, asks by yielding. Carry out `next(answer)` until it is done. */
export type Steps<Result = void> = Generator<Step, Result, Local | undefined>;

/** Reads the row with this key under lock. */
export function* readKey(key: Key): Steps<Local> {
  return (yield { do: 'read', by: 'key', key }) as Local;
}

/** Reads the row that has these values in a unique key, under lock. */
export function* readUnique(unique: Unique, values: Row): Steps<Local> {
  return (yield { do: 'read', by: 'unique', unique, values }) as Local;
}

/** The other rows that a row would collide with on further unique keys; those whose values do not change are not read. */
export function* readCollisions(
  table: Table,
  row: Row,
  previous: Row | null,
  not: (key: Key) => boolean,
): Steps<Local[]> {
  const found: Local[] = [];
  for (const unique of table.uniques) {
    if (previous !== null && unique.columns.every((column) => row[column] === previous[column])) continue;
    const values = uniqueValues(unique, row);
    if (values === null) continue;
    const local = yield* readUnique(unique, values);
    if (local.row === null || not(local.key)) continue;
    if (!found.some((other) => sameKey(other.key, local.key))) found.push(local);
  }
  return found;
}
