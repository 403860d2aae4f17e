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
  /** The deletion of the same key that this insert follows. */
  readonly after: NetChange<C> | null;
  /** True if it stands at its place in source order: what is before it is carried out before, what is after, after. */
  readonly barrier: boolean;
  gone: boolean;
};

/** The changes that a net change stands for, in source order. */
export const originalsOf = <C extends SourceChange>(net: NetChange<C>): readonly C[] =>
  net.originals ?? [net.first];

/**
 * One change per key over a batch. A control row ends the run of its key, a move those of both keys, a TRUNCATE all of
 * its table; each is a barrier at its place. A deletion followed by an insert stays two changes; what else can not be
 * merged (an update after a deletion: the row came back by the other side) is a barrier as well.
 *
 * Order is that of the first change of each run. Between two barriers the runs may be carried out by operation, DELETE,
 * UPDATE, INSERT, if what is left over of a key (not as planned) takes the later operation of that key with it.
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
      table.clear(); // rule: net-truncate
      out.push(entry(change, true, null));
      continue;
    }
    const { key } = change;
    if (change.op !== 'insert' && change.op !== 'update' && change.op !== 'delete') {
      table.delete(key); // rule: net-control
      if (change.to !== undefined) table.delete(change.to); // rule: net-move
      out.push(entry(change, true, null));
      continue;
    }
    const run = table.get(key);
    if (run === undefined) {
      const started = entry(change, false, null);
      table.set(key, started);
      out.push(started);
    } else if (run.op === 'delete' && change.op === 'insert') {
      const started = entry(change, false, run);
      table.set(key, started);
      out.push(started);
    } else if (run.op === 'delete' || change.op === 'insert') {
      table.delete(key);
      out.push(entry(change, true, null)); // rule: net-came-back
    } else if (run.op === 'insert' && change.op === 'delete') {
      run.gone = true;
      dropped = true;
      if (run.after === null) table.delete(key);
      else table.set(key, run.after);
    } else merge(run, change);
  }
  return dropped ? out.filter((net) => !net.gone) : out;
};

const entry = <C extends SourceChange>(
  change: C,
  barrier: boolean,
  after: NetChange<C> | null,
): NetChange<C> => ({
  op: change.op,
  table: change.table,
  key: change.key,
  to: change.to,
  row: change.row ?? null,
  old: change.old ?? null,
  first: change,
  last: change,
  originals: null,
  after,
  barrier,
  gone: false,
});

/** Adds an update or a deletion to the run of its key. */
const merge = <C extends SourceChange>(run: NetChange<C>, change: C): void => {
  if (change.op === 'delete') {
    run.op = 'delete';
    run.row = null;
  } else run.row = over(run.row!, change.row!);
  run.last = change;
  if (run.originals === null) run.originals = [run.first, change];
  else run.originals.push(change);
};

/** The later row, with the earlier one's values where the later has none. */
const over = (earlier: Row, later: Row): Row =>
  later.includes(undefined)
    ? later.map((value, column) => (value === undefined ? earlier[column] : value))
    : later;
