import { filled, isComplete, type Key, type Row, sameKey, type Table } from './rows.ts';
import { type Change, type Local, readCollisions, readKey, type Steps } from './steps.ts';

/**
 * Applies one change at the other side, the follower (protocol.md). What meets a row that its author had not seen, no
 * row, or another row's unique value is not applied: its keys are pulled in the same transaction, so that the
 * arbiter's outcome comes later. Nothing is ever decided here.
 */
export function* follow(change: Change, table: Table): Steps {
  switch (change.op) {
    case 'insert':
      return yield* followInsert(table, change.key, change.row);
    case 'update':
      return yield* followUpdate(table, change.key, filled(change.row, change.old));
    case 'move':
      return yield* followMove(table, change);
    case 'delete':
    case 'truncate-row':
      return yield* followDelete(change.key);
    case 'pull': {
      yield { do: 'answer', key: change.key, pull: change.id };
      return;
    }
    case 'outcome':
      return yield* followOutcome(table, change);
    case 'keep-parent':
      return yield* followKeptParent(table, change.key, change.row);
    case 'answer': // only the follower writes them
    case 'ask-parent':
    case 'drop-child':
      return;
  }
}

function* followInsert(table: Table, key: Key, row: Row): Steps {
  const local = yield* readKey(key);
  const others = yield* readOthers(table, key, row, null);
  if (local.row === null && others.length === 0) yield { do: 'insert', row };
  else yield* pull(key, [local, ...others]); // rule: insert-pull
}

function* followUpdate(table: Table, key: Key, row: Row): Steps {
  const local = yield* readKey(key);
  if (local.row === null || local.unseen) return yield* pull(key, [local]); // rule: follow-unseen
  const others = yield* readOthers(table, key, filled(row, local.row), local.row);
  if (others.length === 0) yield { do: 'update', key, row };
  else yield* pull(key, others); // rule: collision-pull
}

function* followDelete(key: Key): Steps {
  const local = yield* readKey(key);
  if (local.row === null) return;
  if (local.unseen)
    yield* pull(key, [local]); // rule: follow-delete-unseen
  else yield { do: 'delete', key };
}

function* followMove(table: Table, change: Change & { op: 'move' }): Steps {
  const { key, to } = change;
  const local = yield* readKey(key);
  const there = yield* readKey(to);
  const row = filled(change.row, change.old);
  const others = local.row === null ? [] : yield* readOthers(table, key, filled(row, local.row), local.row);
  if (local.row !== null && !local.unseen && there.row === null && others.length === 0) {
    yield { do: 'update', key, row };
    if (!isComplete(row)) yield* pull(to, []); // rule: key-pull
    return;
  }
  const met = [local, there, ...others];
  yield* pull(key, met); // rule: move-pull-old
  yield* pull(to, met); // rule: move-pull-new
}

function* followOutcome(table: Table, change: Change & { op: 'outcome' }): Steps {
  const { key, row } = change;
  const local = yield* readKey(key);
  const others = row === null ? [] : yield* readOthers(table, key, row, local.row);
  const answers = change.pull !== null && local.pull?.id === change.pull;
  if (answers) yield { do: 'close', key };
  if ((local.row !== null && local.unseen) || others.some((other) => other.unseen))
    return yield* pull(key, [local, ...others]); // rule: outcome-pull
  if (row === null) return yield* followAbsence(local, answers);
  for (const other of others) {
    yield { do: 'delete', key: other.key };
    yield* pull(other.key, []); // rule: displaced-pull
  }
  yield local.row === null ? { do: 'insert', row } : { do: 'update', key, row };
}

/**
 * The arbiter has no row with this key. Nothing there could lock it against an insert that committed between the
 * reading and the outcome, and which has arrived here already: a row that is deleted, or a key of which something was
 * skipped since the pull that is answered here, is pulled once more.
 */
function* followAbsence(local: Local, answers: boolean): Steps {
  if (local.row !== null && local.outside) return;
  if (local.row !== null) yield { do: 'delete', key: local.key };
  if (local.row !== null || (answers && local.pull?.skipped)) yield* pull(local.key, []); // rule: absence-pull
}

/**
 * The arbiter's user has deleted a parent whose children here are on their way there. It stays, and the arbiter gets it
 * as an answer that it need not ask for: what becomes of it is for the arbiter to say, and answers always have outcomes.
 */
function* followKeptParent(table: Table, key: Key, row: Row): Steps {
  const local = yield* readKey(key);
  const others = yield* readOthers(table, key, row, null);
  if (local.row !== null || others.length > 0) return;
  yield { do: 'insert', row };
  yield { do: 'answer', key, pull: UNASKED }; // rule: kept-answer
}

const UNASKED = '0';

/** Asks the arbiter for a key, and keeps which rows were in the way: all of them, the answer will have seen them. */
function* pull(key: Key, met: readonly Local[]): Steps {
  yield { do: 'pull', key, met: met.filter((local) => local.row !== null).map((local) => local.key) };
}

function* readOthers(table: Table, key: Key, row: Row, previous: Row | null): Steps<Local[]> {
  return yield* readCollisions(table, row, previous, (other) => sameKey(other, key));
}
