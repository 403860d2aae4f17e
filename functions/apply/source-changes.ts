import type { Key, Row, Side } from '../../shared/conflict/rows.ts';
import { parseSeen, type Seen, unionSeen } from '../../shared/conflict/seen.ts';
import type { Change, SourceFacts } from '../../shared/conflict/steps.ts';
import { valueAt } from '../../shared/postgres/pgoutput.ts';
import type { DecodedChanges, DecodedTransaction } from '../../shared/stream/decode.ts';
import type { ControlRow } from './control-rows.ts';
import { type NetRow, refsOf, withKeyOf } from './net-change.ts';
import type { ApplyTable } from './tables.ts';

/** The position of a change of a transaction. */
export const positionIn = (t: DecodedTransaction, index: number): string =>
  `${t.position.slice(0, 17)}${index.toString(16).toUpperCase().padStart(8, '0')}`;

export const changeOf = ({ op, id, key, pullId }: ControlRow, row: Row | null): Change => {
  switch (op) {
    case 'pull':
      return { op: 'pull', key, id };
    case 'answer':
      return { op: 'answer', key, row, id: pullId ?? '' };
    case 'outcome':
      return { op: 'outcome', key, row, pull: pullId };
  }
};

/** The transaction that a change belongs to (binary search). */
export function indexOfTransaction(transactions: readonly DecodedTransaction[], change: number): number {
  let low = 0;
  let high = transactions.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (transactions[middle]!.from <= change) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The key that `keyText` made a string of. */
export const keyOfText = (table: ApplyTable, text: string): Key =>
  table.key.length === 1 ? [text] : (JSON.parse(text) as string[]);

/** A net row (or an original change) as the decision code takes it. */
export function changesOf(decoded: DecodedChanges, table: ApplyTable, row: NetRow): Change[] {
  const { bytes, oldAt } = decoded;
  const values = (refs: readonly number[]) => refs.map((ref) => valueAt(bytes, ref));
  const oldRef = oldAt[row.first]!;
  const old = oldRef > 0 ? values(refsOf(bytes, oldRef)) : null;
  const { refs } = row;
  const isUpdate = row.op === 'update' && oldRef !== 0;
  const keyed = !refs && isUpdate ? withKeyOf(bytes, row.at, Math.abs(oldRef), table.key) : refs;
  const now = values(keyed ?? refsOf(bytes, row.at));
  const keyFrom = (from: readonly (string | null | undefined)[]) => table.key.map((k) => from[k] ?? '');
  if (row.op === 'delete') return [{ op: 'delete', key: keyFrom(now), old }];
  if (row.op === 'insert') return [{ op: 'insert', key: keyFrom(now), row: now }];
  if (row.op === 'replace')
    return [
      { op: 'delete', key: keyFrom(values(refsOf(bytes, row.deleteAt))), old },
      { op: 'insert', key: keyFrom(now), row: now },
    ];
  const key = oldRef === 0 ? keyFrom(now) : keyFrom(values(refsOf(bytes, Math.abs(oldRef))));
  const to = keyFrom(now);
  if (key.every((part, i) => part === to[i])) return [{ op: 'update', key, row: now, old }];
  return [{ op: 'move', key, to, row: now, old }];
}

/** Seen states of the transactions of a batch: the header's, then what the records add. */
export function seenStates(start: Seen, transactions: readonly DecodedTransaction[]): Seen[] {
  let seen = start;
  return transactions.map((t) => {
    for (const text of t.seen) seen = unionSeen(seen, parseSeen(text));
    return seen;
  });
}

export const sourceOf = (t: DecodedTransaction, index: number, side: Side): SourceFacts => ({
  position: positionIn(t, index),
  time: t.time,
  side,
});
