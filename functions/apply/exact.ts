import { decide } from '../../shared/conflict/decide.ts';
import { decideAlone } from '../../shared/conflict/each-side.ts';
import { follow } from '../../shared/conflict/follow.ts';
import type { ConflictEntry } from '../../shared/conflict/kinds.ts';
import type { Settings } from '../../shared/conflict/policies/policy.ts';
import { type Key, keyOf, keyText, type Row, type Side, type Value } from '../../shared/conflict/rows.ts';
import { isUnseen, isUnsure, type Seen } from '../../shared/conflict/seen.ts';
import type { Change, Local, SourceFacts, Step, Steps } from '../../shared/conflict/steps.ts';
import { hasXid, type XidRanges } from '../../shared/conflict/xid-ranges.ts';
import type { OpenControl } from './control-rows.ts';
import { deleteRow, insertRow, type LockedRow, lockRow, updateRow } from './rows.ts';
import type { Session } from './session.ts';
import type { ApplyTable } from './tables.ts';

/** `arbiter` decides conflicts, `follower` skips and pulls, `alone` decides for itself and publishes nothing. */
export type Role = 'arbiter' | 'follower' | 'alone';

/** A change with what its transaction's author knew. */
export type ExactChange = {
  readonly change: Change;
  readonly table: ApplyTable;
  readonly source: SourceFacts;
  readonly seen: Seen;
};

/** The policy said `fail`: the transaction is rolled back, the conflict recorded, the task stops. */
export class TaskStopped extends Error {
  readonly entry: ConflictEntry;
  readonly table: ApplyTable;
  readonly position: string;
  constructor(entry: ConflictEntry, table: ApplyTable, position: string) {
    super('the conflict policy stops the task');
    this.entry = entry;
    this.table = table;
    this.position = position;
  }
}

export type LoggedConflict = {
  readonly entry: ConflictEntry;
  readonly table: ApplyTable;
  readonly position: string;
};
type Version = { readonly time: bigint | null; readonly side: Side };

/** What is written at the end of the transaction, once the user's rows are: it must not carry their origin. */
export type ControlWrite = OutcomeWrite | AnswerWrite | PullWrite;
export type OutcomeWrite = {
  readonly do: 'outcome';
  readonly table: ApplyTable;
  readonly key: Key;
  pull: string | undefined;
  version: Version | undefined;
};
export type AnswerWrite = {
  readonly do: 'answer';
  readonly table: ApplyTable;
  readonly key: Key;
  readonly pull: string;
};
export type PullWrite = { readonly do: 'pull' | 'close'; readonly table: ApplyTable; readonly key: Key };

export type ExactOptions = {
  readonly session: Session;
  readonly role: (table: ApplyTable) => Role;
  readonly settings: (table: ApplyTable) => Settings;
  /** This side and the other. */
  readonly here: Side;
  readonly there: Side;
  readonly own: XidRanges;
  readonly next: bigint;
  readonly open: ReadonlyMap<string, ReadonlyMap<string, readonly OpenControl[]>>;
  readonly choice: (position: string, table: ApplyTable, key: Key) => 'source' | 'destination' | undefined;
};

/** Carries out the steps of the decision code in one destination transaction: row by row, under row locks. */
export class ExactExecutor {
  readonly conflicts: LoggedConflict[] = [];
  readonly controls: ControlWrite[] = [];
  readonly #o: ExactOptions;
  readonly #outcomes = new Map<string, OutcomeWrite>();
  readonly #versions = new Map<string, Version>();

  constructor(options: ExactOptions) {
    this.#o = options;
  }

  /** Decides (or follows) one change and writes what comes of it. */
  async apply(exact: ExactChange): Promise<void> {
    const steps = this.#stepsOf(exact);
    let step = steps.next();
    while (!step.done) step = steps.next(await this.#carryOut(step.value, exact));
  }

  #stepsOf({ change, table, source }: ExactChange): Steps {
    const role = this.#o.role(table);
    if (role === 'follower') return follow(change, table.table);
    const choice = this.#o.choice(source.position, table, change.key);
    const context = {
      table: table.table,
      settings: this.#o.settings(table),
      source,
      choice,
      publish: role === 'arbiter',
    };
    return role === 'arbiter' ? decide(change, context) : decideAlone(change, context);
  }

  async #carryOut(step: Step, exact: ExactChange): Promise<Local | undefined> {
    const { session } = this.#o;
    const { table, source } = exact;
    switch (step.do) {
      case 'read':
        return step.by === 'key'
          ? this.#read(exact, table.key, step.key, step.key)
          : this.#read(exact, step.unique.columns, step.values, []);
      case 'insert':
        await insertRow(session, table, step.row);
        this.#wrote(table, keyOf(table.table, step.row), source);
        return;
      case 'update':
        await updateRow(session, table, step.key, step.row);
        this.#wrote(table, table.key.map((k, i) => step.row[k] ?? step.key[i]!) as Key, source);
        return;
      case 'delete':
        await deleteRow(session, table, step.key);
        this.#wrote(table, step.key, source);
        return;
      case 'outcome':
        return this.#outcome(table, step.key, step.pull);
      case 'pull':
      case 'close':
        this.controls.push({ do: step.do, table, key: step.key });
        return;
      case 'answer':
        this.controls.push({ do: 'answer', table, key: step.key, pull: step.pull });
        return;
      case 'log':
        this.conflicts.push({ entry: step.entry, table, position: source.position });
        return;
      case 'stop':
        throw new TaskStopped(step.entry, table, source.position);
    }
  }

  async #read(
    exact: ExactChange,
    columns: readonly number[],
    values: readonly Value[],
    key: Key,
  ): Promise<Local> {
    const { session } = this.#o;
    const row = await lockRow(session, exact.table, columns, values);
    const found = row ? (exact.table.key.map((k) => row.values[k]) as string[]) : key;
    return this.#localOf(exact, found, row);
  }

  /** What a key is here, for this change's author. */
  #localOf({ table, seen }: ExactChange, key: Key, row: LockedRow | undefined): Local {
    const { own, next, here, there, role, open } = this.#o;
    const controls = role(table) === 'arbiter' ? (open.get(table.sql)?.get(keyText(key)) ?? []) : [];
    const unseenControls = controls.filter((c) => isUnseen(c.xmin, seen, [], next));
    const published = unseenControls.findLast((c) => c.side !== null);
    const written = this.#outcomes.has(idOf(table, key)) || this.#pulled(table, key);
    const isOpen = unseenControls.length > 0 || written;
    const newer = row !== undefined && isUnseen(row.xmin, seen, own, next);
    const local: Local = {
      key,
      row: row?.values ?? null,
      unseen: newer || isOpen,
      unsure: row !== undefined && newer && !isOpen && isUnsure(row.xmin, seen, next, row.time),
      time: published?.time ?? row?.time ?? null,
      side: published?.side ?? (row && isOwn(row.xmin, own, next) ? there : here),
    };
    if (row) this.#versions.set(idOf(table, key), { time: local.time, side: local.side });
    return local;
  }

  #pulled(table: ApplyTable, key: Key): boolean {
    if (this.#o.role(table) !== 'arbiter') return false;
    const text = keyText(key);
    return this.controls.some((c) => c.do === 'pull' && c.table === table && keyText(c.key) === text);
  }

  #wrote(table: ApplyTable, key: Key, { time, side }: SourceFacts): void {
    this.#versions.set(idOf(table, key), { time, side });
    const outcome = this.#outcomes.get(idOf(table, key));
    if (outcome) outcome.version = { time, side };
  }

  #outcome(table: ApplyTable, key: Key, pull: string | undefined): undefined {
    const id = idOf(table, key);
    const known = this.#outcomes.get(id);
    if (known) {
      known.pull = pull ?? known.pull;
      return;
    }
    const outcome: OutcomeWrite = { do: 'outcome', table, key, pull, version: this.#versions.get(id) };
    this.#outcomes.set(id, outcome);
    this.controls.push(outcome);
  }
}

const idOf = (table: ApplyTable, key: Key): string => `${table.number} ${keyText(key)}`;

const isOwn = (xmin: number, own: XidRanges, next: bigint): boolean => {
  const high = next & ~0xffff_ffffn;
  const xid = high + BigInt(xmin);
  return hasXid(own, xid <= next ? xid : xid - 0x1_0000_0000n);
};

/** A row of text[] for a control row. */
export const rowParameter = (row: Row | null): (string | null)[] | null => row?.map((v) => v ?? null) ?? null;
