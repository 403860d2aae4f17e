import { type Context, entryOf, publish } from './judge.ts';
import { type Key, type Row, sameKey } from './rows.ts';
import { readCollisions, readKey, type Steps } from './steps.ts';

/** What is done for rows whose parent the other side has deleted: the parent comes back, or the rows go as well. */
export const missingParentRules = ['restore-parent', 'delete-child'] as const;
export type MissingParentRule = (typeof missingParentRules)[number];

/**
 * A key that rows of this side refer to, and that has no row, when a transaction is about to end: one side deleted the
 * parent while the other wrote a child. Neither change is in conflict by itself, so both were applied as planned.
 */
export type Orphaned = {
  /** The parent's row as it was before this transaction deleted it; null where it did not, or gave it another key. */
  readonly former: Row | null;
  /** The other side has answered in this transaction, and the parent is missing all the same. */
  readonly answered: boolean;
  /** What this transaction has tried for it so far. */
  readonly tried: 'nothing' | 'kept' | 'asked';
};

/** How to keep the parent, or to do without it; `wait`: an answer is on its way. Only for the arbiter. */
export function remedyOf(
  rule: MissingParentRule,
  { former, answered, tried }: Orphaned,
): 'keep-parent' | 'ask-parent' | 'drop-child' | 'wait' {
  if (rule === 'delete-child') return 'drop-child';
  if (tried === 'asked') return 'wait';
  if (former !== null && tried === 'nothing') return 'keep-parent';
  return answered || tried === 'kept' ? 'drop-child' : 'ask-parent'; // rule: drop-child
}

/** At the arbiter: the deleted parent is written again and published, unless another row has one of its unique values. */
export function* keepParent(context: Context, key: Key, row: Row): Steps {
  const local = yield* readKey(key);
  if (local.row !== null) return;
  const others = yield* readCollisions(context.table, row, null, (other) => sameKey(other, key));
  if (others.length > 0) return;
  const meeting = { kind: 'foreign_key', key, row: null, base: null, local: { ...local, row } } as const;
  yield { do: 'log', entry: entryOf(context, meeting, 'destination') };
  yield { do: 'insert', row };
  yield* publish(context, [key]); // rule: kept-outcome
}

/**
 * At the arbiter: the other side does not delete a parent that has children there. So it still has it, or has had no
 * reason to keep it.
 */
export function* askParent(context: Context, key: Key): Steps {
  const local = yield* readKey(key);
  const meeting = { kind: 'foreign_key', key, row: null, base: null, local } as const;
  yield { do: 'log', entry: entryOf(context, meeting, 'asked') };
  yield { do: 'pull', key, met: [] };
}

/** At the arbiter: a row goes with its parent. */
export function* dropChild(context: Context, key: Key): Steps {
  const local = yield* readKey(key);
  if (local.row === null) return;
  const meeting = { kind: 'foreign_key', key, row: null, base: null, local } as const;
  yield { do: 'log', entry: entryOf(context, meeting, 'source') };
  yield { do: 'delete', key };
  yield* publish(context, [key]); // rule: dropped-outcome
}
