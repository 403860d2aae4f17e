import {
  ask,
  type Context,
  comesBack,
  judgeRow,
  type Meeting,
  madeOnThis,
  publish,
  report,
} from './judge.ts';
import { place } from './place.ts';
import { filled, isComplete, type Row } from './rows.ts';
import { type Change, readKey, type Steps } from './steps.ts';

/**
 * A change of the key, at the arbiter. One update where the old row is there and seen and the new key free and seen.
 * Otherwise both keys are in conflict: the change wins as a whole (the old key is vacated, the new one taken) or loses
 * as a whole, so that no row is lost or doubled by half a decision; both keys' outcomes are published.
 */
export function* decideMove(context: Context, change: Change & { op: 'move' }): Steps {
  const { key, to, old } = change;
  const local = yield* readKey(key);
  const there = yield* readKey(to);
  const sent = filled(change.row, old);
  const both = [key, to];

  const isFree = !local.unseen && there.row === null && !there.unseen; // rule: move-clean
  if (local.row !== null && isFree) {
    const from = { key, row: local.row };
    const row = filled(sent, local.row);
    const placed = yield* place(context, { op: 'update', key: to, row, from, write: sent, contested: false });
    if (placed !== 'placed') yield* publish(context, both);
    return;
  }

  // the old key: which row is it that moves
  const moving: Meeting = { kind: 'key_change', key: to, row: sent, base: old, local };
  let row: Row = sent;
  if (local.row === null) {
    const back = comesBack(context, moving);
    yield* report(context, moving, back ? 'source' : 'destination');
    if (!back) return yield* publish(context, both);
  } else if (local.unseen && !madeOnThis(old, local.row)) {
    const verdict = judgeRow(context, moving);
    yield* report(context, moving, verdict);
    if (verdict === 'fail') return;
    if (verdict === 'destination') return yield* publish(context, both);
    if (verdict === 'delete') {
      yield { do: 'delete', key };
      return yield* publish(context, both);
    }
    if (verdict !== 'source') row = withKey(context, verdict.row, sent);
  }
  if (!isComplete(row)) {
    if (local.row !== null) yield { do: 'delete', key };
    yield* publish(context, [key]); // rule: move-old-outcome
    return yield* ask(context, { ...moving, local: there });
  }

  // the new key: is it free for it
  if (there.row !== null) {
    const meeting: Meeting = { kind: 'key_change', key: to, row, base: null, local: there };
    const verdict = judgeRow(context, meeting);
    yield* report(context, meeting, verdict);
    if (verdict === 'fail') return;
    if (verdict !== 'source' && typeof verdict !== 'object') return yield* publish(context, both);
    if (typeof verdict === 'object') row = verdict.row;
  }
  const from =
    there.row !== null ? { key: to, row: there.row } : local.row !== null ? { key, row: local.row } : null;
  const target = { op: 'update', key: to, row, from, write: row, contested: there.row !== null } as const;
  const vacates = there.row !== null && local.row !== null;
  yield* place(context, vacates ? { ...target, vacated: key } : target);
  yield* publish(context, both); // rule: move-outcome
}

const withKey = (context: Context, row: Row, from: Row): Row =>
  row.map((value, column) => (context.table.key.includes(column) ? from[column] : value));
