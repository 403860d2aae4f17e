import { decide } from '../../shared/conflict/decide.ts';
import { decideAlone } from '../../shared/conflict/each-side.ts';
import { follow } from '../../shared/conflict/follow.ts';
import type { ConflictEntry } from '../../shared/conflict/kinds.ts';
import type { Settings } from '../../shared/conflict/policies/policy.ts';
import {
  type Key,
  keyOf,
  keyText,
  type Row,
  type Side,
  sameKey,
  type Unique,
  type Value,
} from '../../shared/conflict/rows.ts';
import { isUnseen, isUnsure, type Seen } from '../../shared/conflict/seen.ts';
import type { Change, Local, SourceFacts, Step, Steps } from '../../shared/conflict/steps.ts';
import { hasXid, type XidRanges } from '../../shared/conflict/xid-ranges.ts';
import { ControlBook, type OpenControls } from './control-book.ts';
import type { DeferredUniques } from './deferrable.ts';
import { RowStore } from './row-store.ts';
import type { LockedRow } from './rows.ts';
import type { Session } from './session.ts';
import type { ApplyTable } from './tables.ts';
import { readTombstone, type Tombstone } from './tombstones.ts';

/** `arbiter` decides conflicts, `follower` skips and pulls, `alone` decides for itself and publishes nothing. */
export type Role = 'arbiter' | 'follower' | 'alone';

/** A change with what its transaction's author knew. */
export type ExactChange = {
  readonly change: Change;
  readonly table: ApplyTable;
  readonly source: SourceFacts;
  /** Position of the first of the changes that it stands for; the source's is that of the last. */
  readonly first: string;
  readonly seen: Seen;
};

/** The policy said `fail`: the transaction is rolled back, the conflict recorded, the task stops. */
export class TaskStopped extends Error {
  readonly conflict: LoggedConflict;
  constructor(conflict: LoggedConflict) {
    super('the conflict policy stops the task');
    this.conflict = conflict;
  }
}

export type LoggedConflict = {
  readonly entry: ConflictEntry;
  readonly table: ApplyTable;
  readonly position: string;
  readonly first: string;
};

/** A person's answer for a change of a key that stands for the source's changes from `first` to `last`. */
export type ChoiceOf = (
  first: string,
  last: string,
  table: ApplyTable,
  keys: readonly Key[],
) => 'source' | 'destination' | undefined;

/** Takes what is done to parents and children of foreign keys (`references.ts`). */
export type ReferenceNotes = {
  /** To be awaited before anything else of the table is noted. */
  load(table: ApplyTable): Promise<void>;
  /** A row of a key was read, before it is changed. */
  met(table: ApplyTable, key: Key, row: Row): void;
  wrote(exact: ExactChange, row: Row): void;
  removed(exact: ExactChange, key: Key): void;
  answered(exact: ExactChange): void;
};

export type ExactOptions = {
  readonly session: Session;
  /** Rows may be read ahead and written behind. */
  readonly inSets: boolean;
  /** Takes what is written, for deferrable constraints are looked at later; undefined: every change is decided on them. */
  readonly deferred: DeferredUniques | undefined;
  readonly references: ReferenceNotes;
  readonly role: (table: ApplyTable) => Role;
  readonly settings: (table: ApplyTable, source: SourceFacts) => Settings;
  /** This side and the other. */
  readonly here: Side;
  readonly there: Side;
  readonly own: XidRanges;
  readonly next: bigint;
  readonly open: OpenControls;
  readonly choice: ChoiceOf;
};

/** So many rows are read ahead at most. */
const AHEAD = 5_000;

/** Carries out the steps of the decision code in one destination transaction, under row locks. */
export class ExactExecutor {
  readonly conflicts: LoggedConflict[] = [];
  readonly controls: ControlBook;
  readonly #o: ExactOptions;
  readonly #rows: RowStore;

  constructor(options: ExactOptions) {
    this.#o = options;
    this.controls = new ControlBook(options.open, options.next);
    this.#rows = new RowStore(options.session, options.inSets);
  }

  /**
   * Decides (or follows) changes one after the other and writes what comes of them. Rows are read ahead for as many
   * changes as have different keys.
   */
  async apply(changes: readonly ExactChange[]): Promise<void> {
    for (let from = 0; from < changes.length; ) {
      const together = changes.slice(from, from + countTogether(changes, from));
      from += together.length;
      if (together.length > 1) await this.#readAhead(together);
      for (const each of together) await this.#one(each);
      await this.#rows.flush();
    }
  }

  async #readAhead(changes: readonly ExactChange[]): Promise<void> {
    const keys = new Map<ApplyTable, Key[]>();
    for (const { table, change } of changes) {
      // What is pulled is read when it is answered.
      if (change.op === 'pull') continue;
      const list = keys.get(table);
      if (list) list.push(change.key);
      else keys.set(table, [change.key]);
    }
    for (const [table, list] of keys) await this.#rows.readAhead(table, list);
  }

  async #one(exact: ExactChange): Promise<void> {
    const { references } = this.#o;
    await references.load(exact.table);
    if (exact.change.op === 'answer') references.answered(exact);
    const steps = this.#stepsOf(exact);
    let step = steps.next();
    while (!step.done) step = steps.next(await this.#carryOut(step.value, exact));
  }

  #stepsOf({ change, table, source, first }: ExactChange): Steps {
    const role = this.#o.role(table);
    const core = this.#o.deferred ? table.immediate : table.table;
    if (role === 'follower') return follow(change, core);
    // A conflict over a key change is logged under its new key.
    const keys = change.op === 'move' ? [change.key, change.to] : [change.key];
    const choice = this.#o.choice(first, source.position, table, keys);
    const context = {
      table: core,
      settings: this.#o.settings(table, source),
      source,
      choice,
      publish: role === 'arbiter',
    };
    return role === 'arbiter' ? decide(change, context) : decideAlone(change, context);
  }

  async #carryOut(step: Step, exact: ExactChange): Promise<Local | undefined> {
    const { table, source, first } = exact;
    switch (step.do) {
      case 'read':
        return step.by === 'key'
          ? this.#readKey(exact, step.key)
          : this.#readUnique(exact, step.unique, step.values);
      case 'insert':
        await this.#rows.insert(table, step.row);
        this.#o.deferred?.addRow(table, step.row);
        this.#o.references.wrote(exact, step.row);
        this.controls.wrote(table, keyOf(table.table, step.row), source);
        return;
      case 'update': {
        await this.#rows.update(table, step.key, step.row);
        this.#o.deferred?.addRow(table, step.row);
        this.#o.references.wrote(exact, step.row);
        const key = table.key.map((k, i) => step.row[k] ?? step.key[i]!);
        this.controls.wrote(table, key, source);
        return;
      }
      case 'delete':
        await this.#rows.delete(table, step.key);
        this.#o.references.removed(exact, step.key);
        this.controls.wrote(table, step.key, source);
        return;
      case 'outcome':
        this.controls.outcome(table, step.key, step.pull);
        return;
      case 'pull':
        if (this.#o.role(table) === 'arbiter') this.controls.ask(table, step.key);
        else this.controls.pull(table, step.key, step.met);
        return;
      case 'close':
        this.controls.close(table, step.key);
        return;
      case 'answer':
        this.controls.answer(table, step.key, step.pull);
        return;
      case 'log':
        if (table.partial && isMove(step.entry)) return;
        this.conflicts.push({ entry: step.entry, table, position: source.position, first });
        return;
      case 'stop':
        throw new TaskStopped({ entry: step.entry, table, position: source.position, first });
    }
  }

  /** Of a key change the row that moves: equal keys may print differently (1.0 and 1.00), its new key is then free. */
  #moving: string | undefined;

  async #readKey(exact: ExactChange, key: Key): Promise<Local> {
    const { change, table } = exact;
    const row = await this.#rows.read(table, key);
    if (change.op === 'move') {
      if (sameKey(key, change.key)) this.#moving = row?.place;
      else if (row?.place === this.#moving) return this.#localOf(exact, key, undefined);
    }
    if (row) return this.#localOf(exact, keyOf(table.table, row.values), row);
    return this.#localOf(exact, key, undefined, await this.#deletion(exact, key));
  }

  /** The deletion of a missing row by a user of this side, which this change's author had not seen. */
  async #deletion({ table, seen, source }: ExactChange, key: Key): Promise<Tombstone | undefined> {
    const { session, settings, role, own, next } = this.#o;
    if (settings(table, source).onDeleted !== 'by-time' || role(table) === 'follower') return undefined;
    const found = await readTombstone(session, table, key);
    if (found === undefined || role(table) === 'alone') return found;
    return isUnseen(found.xmin, seen, own, next) ? found : undefined;
  }

  async #readUnique(exact: ExactChange, unique: Unique, values: readonly Value[]): Promise<Local> {
    const row = await this.#rows.readUnique(exact.table, unique, values);
    return this.#localOf(exact, row ? keyOf(exact.table.table, row.values) : [], row);
  }

  /** What a key is here, for this change's author. */
  #localOf(
    { table, seen, change }: ExactChange,
    key: Key,
    row: LockedRow | undefined,
    deletion?: Tombstone,
  ): Local {
    const { own, next, here, there, role } = this.#o;
    const published =
      role(table) === 'arbiter'
        ? this.controls.published(table, key, seen)
        : { open: false, version: undefined };
    const isOpen = published.open || this.controls.isOpen(table, key);
    const newer =
      row !== undefined && !this.#wasMet(table, change, row) && isUnseen(row.xmin, seen, own, next);
    const local: Local = {
      key,
      row: row?.values ?? null,
      unseen: newer || isOpen,
      unsure: row !== undefined && newer && !isOpen && isUnsure(row.xmin, seen, next, row.time),
      time: published.version?.time ?? row?.time ?? deletion?.time ?? null,
      side: published.version?.side ?? (row && isOwn(row.xmin, own, next) ? there : here),
      deleted: deletion !== undefined,
      pull: role(table) === 'follower' ? this.controls.openPull(table, key) : null,
    };
    if (row) {
      this.controls.met(table, key, { time: local.time, side: local.side }, row.xmin);
      this.#o.references.met(table, key, row.values);
    }
    return local;
  }

  /** At the follower: an outcome that answers the open pull of its key had seen every row that this pull met. */
  #wasMet(table: ApplyTable, change: Change, row: LockedRow): boolean {
    if (change.op !== 'outcome' || change.pull === null) return false;
    const pull = this.controls.openPull(table, change.key);
    return pull?.id === change.pull && pull.met.includes(String(row.xmin));
  }
}

/** How many changes from one on have different keys; a key change stands alone. */
function countTogether(changes: readonly ExactChange[], from: number): number {
  const keys = new Set<string>();
  for (let at = from; at < changes.length && keys.size < AHEAD; at++) {
    const { table, change } = changes[at]!;
    if (change.op === 'move') return Math.max(1, at - from);
    const id = `${table.sql} ${keyText(change.key)}`;
    if (keys.has(id)) return at - from;
    keys.add(id);
  }
  return keys.size;
}

/** A row that moves into its table's condition, or out of it: it was not here. */
const isMove = ({ kind, result }: ConflictEntry): boolean =>
  result !== 'incomplete' &&
  (kind === 'update_missing' || kind === 'update_deleted' || kind === 'delete_missing');

const isOwn = (xmin: number, own: XidRanges, next: bigint): boolean => {
  const high = next & ~0xffff_ffffn;
  const xid = high + BigInt(xmin);
  return hasXid(own, xid <= next ? xid : xid - 0x1_0000_0000n);
};
