import { decide } from '../../shared/conflict/decide.ts';
import { follow } from '../../shared/conflict/follow.ts';
import { type Key, keyText, type Row } from '../../shared/conflict/rows.ts';
import { hasSeen, isUnseen, isUnsure, type Seen } from '../../shared/conflict/seen.ts';
import type { Change, Local, Step, Steps } from '../../shared/conflict/steps.ts';
import type { Delivery } from './apply.ts';
import {
  columns,
  ownerOf,
  table as plainTable,
  referringTable,
  type Version,
  type WalChange,
  writeRow,
  xid32,
} from './database.ts';
import { References } from './references.ts';

/** A change as it arrives, with its transaction's facts. */
export type Incoming = WalChange & {
  readonly position: number;
  readonly time: bigint;
  readonly seen: Seen;
  /** Its place in the batch. */
  readonly order: number;
};

/** The policy is `task-failed`: roll back, and let a person choose. */
export class Stopped extends Error {
  readonly where: string;
  constructor(where: string) {
    super(`stopped at ${where}`);
    this.where = where;
  }
}

/** Carries out the steps of the decision code in one destination transaction: what apply's exact path does in SQL. */
export class Executor {
  readonly conflicts: string[] = [];
  /** Keys that this transaction locked or wrote. */
  readonly touched = new Set<string>();
  readonly delivery: Delivery;
  private readonly xid: bigint;
  private readonly control: WalChange[] = [];
  private readonly outcomes = new Map<string, string | undefined>();
  private readonly references = new References();
  private seen!: Seen;
  private change!: Incoming;

  constructor(delivery: Delivery, xid: bigint) {
    this.delivery = delivery;
    this.xid = xid;
  }

  get state() {
    return this.delivery.database.state;
  }

  get isArbiter(): boolean {
    return this.delivery.role === 'arbiter';
  }

  /** One change, row by row. `positions` are those of all changes that it stands for. */
  applyExactly(change: Incoming, positions: readonly number[] = [change.position]): void {
    this.change = change;
    this.seen = change.seen;
    if (change.op === 'answer') this.references.answered(change.key);
    if (change.op !== 'truncate') return this.run(asChange(change), positions);
    const keys = new Set([...this.state.rows.keys(), ...this.state.open.keys()]);
    for (const key of keys) this.run({ op: 'truncate-row', key: [key] }, positions);
  }

  /** Rows whose parent is gone, before the transaction ends. */
  settleReferences(last: Incoming | undefined): void {
    const { missingParent } = this.delivery.scenario;
    if (missingParent === undefined || last === undefined) return;
    this.change = last;
    this.seen = last.seen;
    for (const change of this.references.remedies(this.state, missingParent, this.isArbiter))
      this.run(change, []);
  }

  /** What a key is locally, for this change's author. */
  localOf(key: string, seen: Seen, outcome?: Incoming): Local {
    const { database } = this.delivery;
    const version = this.state.rows.get(key);
    const open = this.state.open.get(key);
    const isOpen = open !== undefined && !hasSeen(seen, open);
    const pull = outcome?.op === 'outcome' ? this.state.pulls.get(outcome.key) : undefined;
    const answered = pull !== undefined && pull.id === outcome?.id;
    const met = answered && version !== undefined && pull.met.includes(version.xmin); // rule: met
    const newer =
      !met && version !== undefined && isUnseen(version.xmin, seen, this.state.own, database.nextXid);
    return {
      key: [key],
      row: version?.row ?? null,
      unseen: newer || isOpen, // rule: open-is-unseen
      unsure:
        version !== undefined &&
        newer &&
        !isOpen &&
        isUnsure(version.xmin, seen, database.nextXid, version.time),
      time: version?.time ?? this.state.tombstones.get(key) ?? null,
      side: version?.side ?? database.side,
      pull: this.state.pulls.get(key) ?? null,
    };
  }

  /** The transaction's control rows, with the outcomes as the rows are now. */
  finish(): WalChange[] {
    for (const [key, id] of this.outcomes) {
      const row = this.state.rows.get(key)?.row ?? null;
      if (row !== null) this.touched.add(key);
      this.control.push({ op: 'outcome', table: 0, key, row, ...(id !== undefined && { id }) });
      this.state.open.set(key, this.xid);
    }
    return this.control;
  }

  /** A set-based write, as planned. */
  writePlanned(change: Incoming, row: Row | null): void {
    this.touched.add(change.key);
    const former = this.state.rows.get(change.key);
    if (row === null && former) this.references.removed(change.key, former.row);
    if (row !== null) this.references.wrote(row);
    if (row === null) this.state.rows.delete(change.key);
    else writeRow(this.state, this.versionOf(row, change.time));
  }

  private run(change: Change, positions: readonly number[]): void {
    const steps = this.stepsOf(change, positions);
    let step = steps.next();
    while (!step.done) step = steps.next(this.carryOut(step.value));
  }

  private stepsOf(change: Change, positions: readonly number[]): Steps {
    const { scenario, choices, database } = this.delivery;
    const table = scenario.missingParent ? referringTable : plainTable;
    if (!this.isArbiter) return follow(change, table);
    const choice = positions.map((position) => choices.get(`${position} ${this.change.key}`)).find(Boolean);
    const side = database.side === 'a' ? 'b' : 'a';
    const source = { position: String(this.change.position), time: this.change.time, side } as const;
    return decide(change, { table, settings: scenario.settings, source, choice, publish: true });
  }

  private carryOut(step: Step): Local | undefined {
    const { state } = this;
    switch (step.do) {
      case 'read':
        return step.by === 'key'
          ? this.readKey(step.key)
          : this.readUnique(step.unique.columns[0]!, step.values[0]);
      case 'insert':
        return this.put(null, step.row);
      case 'update':
        return this.put(keyText(step.key), step.row);
      case 'delete':
        this.touched.add(keyText(step.key));
        this.remove(keyText(step.key));
        if (!state.rows.delete(keyText(step.key))) throw new Error(`no row to delete: ${keyText(step.key)}`);
        return;
      case 'outcome':
        this.outcomes.set(keyText(step.key), step.pull ?? this.outcomes.get(keyText(step.key)));
        state.open.set(keyText(step.key), this.xid);
        return;
      case 'pull':
        return this.pull(keyText(step.key), step.met);
      case 'close':
        state.pulls.delete(keyText(step.key));
        return;
      case 'answer':
        this.control.push({
          op: 'answer',
          table: 0,
          key: keyText(step.key),
          row: this.rowOf(step.key),
          id: step.pull,
        });
        return;
      case 'log':
        this.conflicts.push(`${step.entry.kind}${step.entry.unsure ? ' unsure' : ''}`);
        return;
      case 'stop':
        // the choice is bound to the change, by the key it names
        throw new Stopped(`${this.change.position} ${this.change.key}`);
    }
  }

  private readKey(key: Key): Local {
    const local = this.localOf(keyText(key), this.seen, this.change);
    if (local.row !== null) this.touched.add(keyText(key));
    return local;
  }

  private readUnique(column: number, value: unknown): Local {
    const owner = ownerOf(this.state, column, value, '');
    if (owner === undefined)
      return {
        key: [],
        row: null,
        unseen: false,
        unsure: false,
        time: null,
        pull: null,
        side: this.delivery.database.side,
      };
    return this.readKey([owner]);
  }

  private put(from: string | null, row: Row): undefined {
    const previous = from === null ? undefined : this.state.rows.get(from);
    const key = (row[columns.id] ?? from) as string;
    if (from !== null && previous === undefined) throw new Error(`no row to update: ${from}`);
    if (from !== key && this.state.rows.has(key)) throw new Error(`the key is taken: ${key}`);
    if (from !== null) this.state.rows.delete(from);
    if (from !== null && from !== key) this.references.removed(from, null);
    const whole = row.map((value, column) => (value === undefined ? previous?.row[column] : value));
    if (from !== null) this.touched.add(from);
    this.touched.add(key);
    this.references.wrote(whole);
    writeRow(this.state, this.versionOf(whole, this.change.time));
  }

  /** What the arbiter has decided stays deleted at the follower. */
  private remove(key: string): void {
    const former = this.change.op === 'outcome' ? null : (this.state.rows.get(key)?.row ?? null);
    this.references.removed(key, former);
  }

  private pull(key: string, met: readonly Key[]): undefined {
    const { state } = this;
    const id = `${this.delivery.database.side}${this.xid}`;
    const open = state.pulls.get(key);
    if (this.isArbiter) state.open.set(key, this.xid);
    else if (open !== undefined) {
      state.pulls.set(key, { ...open, skipped: true }); // rule: skipped
      return;
    } else
      state.pulls.set(key, {
        id,
        skipped: false,
        met: met.map((each) => state.rows.get(keyText(each))!.xmin),
      });
    this.control.push({ op: 'pull', table: 0, key, id });
  }

  private rowOf(key: Key): Row | null {
    this.touched.add(keyText(key));
    return this.state.rows.get(keyText(key))?.row ?? null;
  }

  private versionOf(row: Row, time: bigint): Version {
    return { row, xmin: xid32(this.xid), time, side: this.delivery.database.side === 'a' ? 'b' : 'a' };
  }
}

const asChange = (change: Incoming): Change => {
  const key = [change.key];
  const old = change.old ?? null;
  switch (change.op) {
    case 'insert':
      return { op: 'insert', key, row: change.row! };
    case 'update':
      return { op: 'update', key, row: change.row!, old };
    case 'move':
      return { op: 'move', key, to: [change.to!], row: change.row!, old };
    case 'delete':
      return { op: 'delete', key, old };
    case 'pull':
      return { op: 'pull', key, id: change.id ?? '' };
    case 'answer':
      return { op: 'answer', key, row: change.row ?? null, id: change.id ?? '' };
    case 'outcome':
      return { op: 'outcome', key, row: change.row ?? null, pull: change.id ?? null };
    case 'truncate':
      throw new Error('a truncate is one change per row');
  }
};
