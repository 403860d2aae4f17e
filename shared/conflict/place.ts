import { type Context, judgeCollision, type Meeting, publish, report } from './judge.ts';
import { type Key, type Row, sameKey } from './rows.ts';
import { type Local, readCollisions, type Steps } from './steps.ts';

/** A row that has won on its own key and is to be written. */
export type Target = {
  readonly op: 'insert' | 'update';
  readonly key: Key;
  readonly row: Row;
  /** The row that is replaced: it keeps this key, or moves to `key`. Null: inserted. */
  readonly from: { readonly key: Key; readonly row: Row } | null;
  /** A further own row that makes way: the old key of a move onto a row that is replaced. */
  readonly vacated?: Key;
  /** What is written: the row, or for a change that goes as planned only what was sent. */
  readonly write: Row;
  /** True if the key itself was in conflict: with a further collision the kind is `multiple_unique_conflicts`. */
  readonly contested: boolean;
};

/**
 * Writes a row unless another row has one of its further unique values and wins; rows that lose are deleted, named,
 * and their outcomes published. `placed` had no collision. After `displaced` and `lost` the caller publishes the
 * outcome of the row's own keys. `stopped`: the task stops.
 */
export function* place(context: Context, target: Target): Steps<'placed' | 'displaced' | 'lost' | 'stopped'> {
  const { key, row, from } = target;
  const own = [key, from?.key, target.vacated].filter((each) => each !== undefined);
  const isOwn = (other: Key): boolean => own.some((each) => sameKey(other, each));
  const others = yield* readCollisions(context.table, row, from?.row ?? null, isOwn);
  for (const other of others) {
    const meeting = meetingWith(target, other, others.length);
    const verdict = judgeCollision(context, meeting);
    if (verdict === 'source') continue;
    yield* report(context, meeting, verdict);
    return verdict === 'fail' ? 'stopped' : 'lost';
  }
  for (const other of others) {
    yield* report(context, meetingWith(target, other, others.length), 'source');
    yield { do: 'delete', key: other.key };
    yield* publish(context, [other.key]); // rule: displaced-outcome
  }
  if (target.vacated !== undefined) yield { do: 'delete', key: target.vacated };
  yield from === null ? { do: 'insert', row } : { do: 'update', key: from.key, row: target.write };
  return others.length > 0 ? 'displaced' : 'placed';
}

const meetingWith = (target: Target, local: Local, count: number): Meeting => ({
  kind: kindOf(target, count),
  key: target.key,
  row: target.row,
  base: null,
  local,
});

const kindOf = (
  target: Target,
  count: number,
): 'multiple_unique_conflicts' | 'insert_exists' | 'update_exists' => {
  if (count + (target.contested ? 1 : 0) > 1) return 'multiple_unique_conflicts';
  return target.op === 'insert' ? 'insert_exists' : 'update_exists';
};
