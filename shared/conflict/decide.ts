import { decideMove } from './decide-move.ts';
import { askParent, dropChild, keepParent } from './foreign-keys.ts';
import {
  ask,
  type Context,
  comesBack,
  entryOf,
  judgeDelete,
  judgeRow,
  type Meeting,
  madeOnThis,
  publish,
  report,
} from './judge.ts';
import { place } from './place.ts';
import { withIncrements } from './policies/delta.ts';
import { filled, isComplete, type Key, type Row } from './rows.ts';
import { type Change, type Local, readKey, type Steps } from './steps.ts';

/**
 * Decides one change at the arbiter (protocol.md). Whatever is decided, the outcome of every key involved is published,
 * unless the change went as planned. Changes of a transaction are decided one after the other, in source order.
 */
export function* decide(change: Change, context: Context): Steps {
  switch (change.op) {
    case 'insert':
      return yield* decideInsert(context, change.key, change.row);
    case 'update':
      return yield* decideUpdate(context, change.key, filled(change.row, change.old), change.old);
    case 'move':
      return yield* decideMove(context, change);
    case 'delete':
      return yield* decideDelete(context, change.key, change.old);
    case 'truncate-row':
      return yield* decideTruncate(context, change.key);
    case 'pull':
      if (context.publish) yield { do: 'outcome', key: change.key, pull: change.id }; // rule: pull-outcome
      return;
    case 'answer':
      return yield* decideAnswer(context, change.key, change.row);
    case 'outcome': // only the arbiter writes them
      return;
    case 'keep-parent':
      return yield* keepParent(context, change.key, change.row);
    case 'ask-parent':
      return yield* askParent(context, change.key);
    case 'drop-child':
      return yield* dropChild(context, change.key);
  }
}

function* decideInsert(context: Context, key: Key, row: Row): Steps {
  const local = yield* readKey(key);
  if (local.row !== null) {
    // Its author's side wrote this row later: it was copied under a snapshot that has this insert already. What the
    // stream still has to say of the row follows, so it goes back to this version as by an update.
    if (!local.unseen && local.side === context.source.side)
      return yield* write(context, { key, row, base: null, local }, false);
    return yield* settle(context, { kind: 'insert_exists', key, row, base: null, local });
  }
  const placed = yield* place(context, { op: 'insert', key, row, from: null, write: row, contested: false });
  if (placed !== 'placed' || local.unseen) yield* publish(context, [key]); // rule: open-key-outcome
}

function* decideUpdate(context: Context, key: Key, row: Row, base: Row | null): Steps {
  const local = yield* readKey(key);
  if (local.row === null) return yield* updateMissing(context, key, row, local);
  if (local.unseen) {
    if (!madeOnThis(base, local.row))
      return yield* settle(context, { kind: 'update_origin_differs', key, row, base, local });
    return yield* write(context, { key, row, base, local }, true);
  }
  yield* write(context, { key, row, base, local }, false);
}

/** An update that wins on its key. Where it loses on another unique key, its increments still count. */
function* write(
  context: Context,
  change: { readonly key: Key; readonly row: Row; readonly base: Row | null; readonly local: Local },
  always: boolean,
): Steps {
  const { key, base, local } = change;
  const row = filled(change.row, local.row);
  const from = { key, row: local.row! };
  const placed = yield* place(context, { op: 'update', key, row, from, write: change.row, contested: false });
  if (placed === 'lost') yield* addIncrements(context, key, base, change.row, local.row!);
  if (placed !== 'placed' || always) yield* publish(context, [key]); // rule: lost-outcome
}

function* addIncrements(context: Context, key: Key, base: Row | null, row: Row, local: Row): Steps {
  if (base === null || context.settings.deltaColumns.length === 0) return;
  const sum = withIncrements(local, base, row, local, context.settings);
  if (sum !== local) yield { do: 'update', key, row: sum };
}

/** Two versions of one row: judged, written, and always published. */
function* settle(context: Context, meeting: Meeting): Steps {
  const { key, local, base } = meeting;
  const row = meeting.row!;
  if (!isComplete(row) && context.settings.policy === 'resolver' && context.choice === undefined)
    return yield* ask(context, meeting);
  const verdict = judgeRow(context, meeting);
  if (verdict === 'source' && !isComplete(row)) return yield* ask(context, meeting);
  yield* report(context, meeting, verdict);
  if (verdict === 'fail') return;
  if (verdict === 'delete') yield { do: 'delete', key };
  if (verdict === 'source' || typeof verdict === 'object') {
    const won = verdict === 'source' ? row : verdict.row;
    const from = { key, row: local.row! };
    const op = meeting.kind === 'insert_exists' ? 'insert' : 'update';
    const placed = yield* place(context, { op, key, row: won, from, write: won, contested: true });
    if (placed === 'lost') yield* addIncrements(context, key, base, row, local.row!);
  }
  yield* publish(context, [key]); // rule: conflict-outcome
}

/** An update of a row that is gone, or never was here. */
function* updateMissing(context: Context, key: Key, row: Row, local: Local): Steps {
  const kind = local.time === null && !local.deleted ? 'update_missing' : 'update_deleted';
  const meeting: Meeting = { kind, key, row, base: null, local };
  const back = comesBack(context, meeting);
  if (back && !isComplete(row)) return yield* ask(context, meeting);
  yield* report(context, meeting, back ? 'source' : 'destination');
  if (back) yield* place(context, { op: 'insert', key, row, from: null, write: row, contested: false });
  yield* publish(context, [key]); // rule: missing-outcome
}

function* decideDelete(context: Context, key: Key, base: Row | null): Steps {
  const local = yield* readKey(key);
  const meeting: Meeting = { kind: 'delete_origin_differs', key, row: null, base, local };
  if (local.row === null) {
    yield { do: 'log', entry: entryOf(context, { ...meeting, kind: 'delete_missing' }, 'nothing') };
    if (local.unseen) yield* publish(context, [key]); // rule: open-delete-outcome
    return;
  }
  if (local.unseen && !madeOnThis(base, local.row)) return yield* settleDelete(context, meeting);
  yield { do: 'delete', key };
  if (local.unseen) yield* publish(context, [key]);
}

function* decideTruncate(context: Context, key: Key): Steps {
  const local = yield* readKey(key);
  if (!local.unseen) {
    if (local.row !== null) yield { do: 'delete', key };
  } else if (local.row === null)
    yield* publish(context, [key]); // rule: truncate-open-outcome
  else yield* settleDelete(context, { kind: 'truncate', key, row: null, base: null, local });
}

/** The deletion of a row that its author had not seen: judged, carried out, and always published. */
function* settleDelete(context: Context, meeting: Meeting): Steps {
  const { key, local } = meeting;
  const verdict = judgeDelete(context, meeting);
  yield* report(context, meeting, verdict);
  if (verdict === 'fail') return;
  if (verdict === 'source' || verdict === 'delete') yield { do: 'delete', key };
  if (typeof verdict === 'object') {
    const from = { key, row: local.row! };
    yield* place(context, { op: 'update', key, row: verdict.row, from, write: verdict.row, contested: true });
  }
  yield* publish(context, [key]); // rule: delete-outcome
}

/** The row that the arbiter had pulled: decided like a change, and always published, for it may be gone meanwhile. */
function* decideAnswer(context: Context, key: Key, row: Row | null): Steps {
  const local = yield* readKey(key);
  if (row !== null && local.row !== null && local.unseen)
    return yield* settle(context, { kind: 'update_origin_differs', key, row, base: null, local });
  if (row !== null) {
    const from = local.row === null ? null : { key, row: local.row };
    yield* place(context, {
      op: from === null ? 'insert' : 'update',
      key,
      row,
      from,
      write: row,
      contested: false,
    });
  }
  yield* publish(context, [key]); // rule: answer-outcome
}
