import type { Row } from './rows.ts';

/** A change of a batch, as netting takes it. `key` is one string; `to` is the new key of a move. */
export type SourceChange = {
  readonly op: 'insert' | 'update' | 'delete' | 'move' | 'truncate' | 'pull' | 'answer' | 'outcome';
  readonly table: number | string;
  readonly key: string;
  readonly to?: string;
  readonly row?: Row | null;
  readonly old?: Row | null;
};

/**
 * What several changes of one key come to. `first` is the change whose transaction's `seen` counts: a row that its
 * author had not seen is in conflict with the whole run, though a later author had (perhaps by skipping and pulling).
 * `last` gives time and position. `originals` are kept for a replay in source order.
 */
export type NetChange<C extends SourceChange> = {
  op: C['op'];
  readonly table: C['table'];
  readonly key: string;
  readonly to: string | undefined;
  row: Row | null;
  readonly old: Row | null;
  readonly first: C;
  last: C;
  originals: C[] | null;
  /** True if it stands at its place in source order: what is before it is carried out before, what is after, after. */
  readonly barrier: boolean;
  gone: boolean;
};

/** The changes that a net change stands for, in source order. */
export const originalsOf = <C extends SourceChange>(net: NetChange<C>): readonly C[] =>
  net.originals ?? [net.first];

/**
 * One change per key over a batch. A control row ends the run of its key, a move those of both keys, a TRUNCATE all of
 * its table; each stands at its place. A deletion followed by an insert stays two changes. Order is that of the first
 * change of each run; between two barriers the runs may be carried out by operation: DELETE, UPDATE, INSERT.
 */
export const netChanges = <C extends SourceChange>(changes: readonly C[]): NetChange<C>[] => {
  const runs = new Map<C['table'], Map<string, NetChange<C>>>();
  const out: NetChange<C>[] = [];
  let dropped = false;
  for (const change of changes) {
    let table = runs.get(change.table);
    if (table === undefined) {
      table = new Map();
      runs.set(change.table, table);
    }
    if (change.op === 'truncate') {
      table.clear();
      out.push(entry(change, true));
      continue;
    }
    if (change.op !== 'insert' && change.op !== 'update' && change.op !== 'delete') {
      table.delete(change.key);
      if (change.to !== undefined) table.delete(change.to);
      out.push(entry(change, true));
      continue;
    }
    const run = table.get(change.key);
    if (run === undefined || !merge(run, change)) {
      const started = entry(change, false);
      table.set(change.key, started);
      out.push(started);
    } else if (run.gone) {
      table.delete(change.key);
      dropped = true;
    }
  }
  return dropped ? out.filter((net) => !net.gone) : out;
};

const entry = <C extends SourceChange>(change: C, barrier: boolean): NetChange<C> => ({
  op: change.op,
  table: change.table,
  key: change.key,
  to: change.to,
  row: change.row ?? null,
  old: change.old ?? null,
  first: change,
  last: change,
  originals: null,
  barrier,
  gone: false,
});

/** Adds a change to the run of its key; false if it must stand by itself. */
const merge = <C extends SourceChange>(run: NetChange<C>, change: C): boolean => {
  if (run.op === 'delete' || change.op === 'insert') return false;
  if (change.op === 'delete') {
    if (run.op === 'insert') run.gone = true;
    run.op = 'delete';
    run.row = null;
  } else run.row = over(run.row!, change.row!);
  run.last = change;
  if (run.originals === null) run.originals = [run.first, change];
  else run.originals.push(change);
  return true;
};

/** The later row, with the earlier one's values where the later has none. */
const over = (earlier: Row, later: Row): Row =>
  later.includes(undefined)
    ? later.map((value, column) => (value === undefined ? earlier[column] : value))
    : later;
