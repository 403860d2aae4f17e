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
      return yield* followOutcome(table, change.key, change.row);
    case 'answer': // only the follower writes them
      return;
  }
}

function* followInsert(table: Table, key: Key, row: Row): Steps {
  const local = yield* readKey(key);
  const free = local.row === null && (yield* others(table, key, row, null)).length === 0;
  yield free ? { do: 'insert', row } : { do: 'pull', key };
}

function* followUpdate(table: Table, key: Key, row: Row): Steps {
  const local = yield* readKey(key);
  const applies =
    local.row !== null &&
    !local.unseen &&
    (yield* others(table, key, filled(row, local.row), local.row)).length === 0;
  yield applies ? { do: 'update', key, row } : { do: 'pull', key };
}

function* followDelete(key: Key): Steps {
  const local = yield* readKey(key);
  if (local.row === null) return;
  yield local.unseen ? { do: 'pull', key } : { do: 'delete', key };
}

function* followMove(table: Table, change: Change & { op: 'move' }): Steps {
  const { key, to } = change;
  const local = yield* readKey(key);
  const there = yield* readKey(to);
  const row = filled(change.row, change.old);
  const applies =
    local.row !== null &&
    !local.unseen &&
    there.row === null &&
    (yield* others(table, key, filled(row, local.row), local.row)).length === 0;
  if (applies) {
    yield { do: 'update', key, row };
    if (!isComplete(row)) yield { do: 'pull', key: to };
    return;
  }
  yield { do: 'pull', key };
  yield { do: 'pull', key: to };
}

function* followOutcome(table: Table, key: Key, row: Row | null): Steps {
  yield { do: 'close', key };
  const local = yield* readKey(key);
  if (local.row !== null && local.unseen) {
    yield { do: 'pull', key };
    return;
  }
  if (row === null) return yield* followAbsence(local);
  const displaced = yield* others(table, key, row, local.row);
  if (displaced.some((other) => other.unseen)) {
    yield { do: 'pull', key };
    return;
  }
  for (const other of displaced) {
    yield { do: 'delete', key: other.key };
    yield { do: 'pull', key: other.key };
  }
  yield local.row === null ? { do: 'insert', row } : { do: 'update', key, row };
}

/**
 * The arbiter has no row with this key. Nothing there could lock it against an insert that committed between the
 * reading and the outcome, and which has arrived here already: what is deleted is pulled once more.
 */
function* followAbsence(local: Local): Steps {
  if (local.row === null || local.outside === true) return;
  yield { do: 'delete', key: local.key };
  yield { do: 'pull', key: local.key };
}

function* others(table: Table, key: Key, row: Row, previous: Row | null): Steps<Local[]> {
  return yield* readCollisions(table, row, previous, (other) => sameKey(other, key));
}
