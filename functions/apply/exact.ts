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
import type { OpenControl } from './control-rows.ts';
import type { DeferredUniques } from './deferrable.ts';
import { deleteRow, insertRow, type LockedRow, lockCollision, lockRow, updateRow } from './rows.ts';
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

type Version = { readonly time: bigint | null; readonly side: Side };
type OpenPull = { readonly id: string; readonly met: readonly string[]; readonly skipped: boolean };

/** What is written at the end of the transaction, once the user's rows are: it must not carry their origin. */
export type ControlWrite = OutcomeWrite | AnswerWrite | PullWrite | PullChange;
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
export type PullWrite = {
  readonly do: 'pull';
  readonly table: ApplyTable;
  readonly key: Key;
  /** Xmins of the rows that were in the way. */
  readonly met: readonly string[];
};
export type PullChange = { readonly do: 'close' | 'skipped'; readonly table: ApplyTable; readonly key: Key };

export type ExactOptions = {
  readonly session: Session;
  /** Takes what is written, for deferrable constraints are looked at later; undefined: every change is decided on them. */
  readonly deferred: DeferredUniques | undefined;
  readonly role: (table: ApplyTable) => Role;
  readonly settings: (table: ApplyTable, source: SourceFacts) => Settings;
  /** This side and the other. */
  readonly here: Side;
  readonly there: Side;
  readonly own: XidRanges;
  readonly next: bigint;
  /** At the arbiter: keys whose outcome or pull the other side may not have seen. At the follower: open pulls. */
  readonly open: ReadonlyMap<string, ReadonlyMap<string, readonly OpenControl[]>>;
  readonly choice: ChoiceOf;
};

/** Carries out the steps of the decision code in one destination transaction: row by row, under row locks. */
export class ExactExecutor {
  readonly conflicts: LoggedConflict[] = [];
  readonly controls: ControlWrite[] = [];
  readonly #o: ExactOptions;
  readonly #outcomes = new Map<string, OutcomeWrite>();
  readonly #versions = new Map<string, Version>();
  /** Xmin of a key's row as it was last read, for `met`. */
  readonly #xmins = new Map<string, string>();
  /** At the follower: open pulls as they are now, in this transaction. */
  readonly #pulls = new Map<string, OpenPull | null>();

  constructor(options: ExactOptions) {
    this.#o = options;
  }

  /** Decides (or follows) one change and writes what comes of it. */
  async apply(exact: ExactChange): Promise<void> {
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
    const { session } = this.#o;
    const { table, source, first } = exact;
    switch (step.do) {
      case 'read':
        return step.by === 'key'
          ? this.#readKey(exact, step.key)
          : this.#readUnique(exact, step.unique, step.values);
      case 'insert':
        await insertRow(session, table, step.row);
        this.#o.deferred?.addRow(table, step.row);
        this.#wrote(table, keyOf(table.table, step.row), source);
        return;
      case 'update':
        await updateRow(session, table, step.key, step.row);
        this.#o.deferred?.addRow(table, step.row);
        this.#wrote(table, table.key.map((k, i) => step.row[k] ?? step.key[i]!) as Key, source);
        return;
      case 'delete':
        await deleteRow(session, table, step.key);
        this.#wrote(table, step.key, source);
        return;
      case 'outcome':
        return this.#outcome(table, step.key, step.pull);
      case 'pull':
        return this.#pull(table, step.key, step.met);
      case 'close':
        this.#pulls.set(idOf(table, step.key), null);
        this.controls.push({ do: 'close', table, key: step.key });
        return;
      case 'answer':
        this.controls.push({ do: 'answer', table, key: step.key, pull: step.pull });
        return;
      case 'log':
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
    const row = await lockRow(this.#o.session, table, table.key, key);
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
    const row = await lockCollision(this.#o.session, exact.table, unique, values);
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
    const id = idOf(table, key);
    const published = this.#published(table, key, seen);
    const isOpen = published.open || this.#outcomes.has(id) || this.#asked.has(id);
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
      pull: role(table) === 'follower' ? this.#openPull(table, key) : null,
    };
    if (row) {
      this.#versions.set(id, { time: local.time, side: local.side });
      this.#xmins.set(id, String(row.xmin));
    }
    return local;
  }

  /** At the arbiter: whether the key has a control row that the author had not seen, and the version that won there. */
  #published(table: ApplyTable, key: Key, seen: Seen): { open: boolean; version: Version | undefined } {
    const { role, open, next } = this.#o;
    const controls = role(table) === 'arbiter' ? (open.get(table.sql)?.get(keyText(key)) ?? []) : [];
    const unseen = controls.filter((c) => isUnseen(c.xmin, seen, [], next));
    const won = unseen.findLast((c) => c.side !== null);
    return { open: unseen.length > 0, version: won?.side ? { time: won.time, side: won.side } : undefined };
  }

  /** At the follower: an outcome that answers the open pull of its key had seen every row that this pull met. */
  #wasMet(table: ApplyTable, change: Change, row: LockedRow): boolean {
    if (change.op !== 'outcome' || change.pull === null) return false;
    const pull = this.#openPull(table, change.key);
    return pull?.id === change.pull && pull.met.includes(String(row.xmin));
  }

  #openPull(table: ApplyTable, key: Key): OpenPull | null {
    const known = this.#pulls.get(idOf(table, key));
    if (known !== undefined) return known;
    const stored = this.#o.open.get(table.sql)?.get(keyText(key))?.[0];
    return stored ? { id: stored.id, met: stored.met, skipped: stored.skipped } : null;
  }

  readonly #asked = new Set<string>();

  #pull(table: ApplyTable, key: Key, met: readonly Key[]): undefined {
    const id = idOf(table, key);
    const xmins = met.flatMap((each) => this.#xmins.get(idOf(table, each)) ?? []);
    if (this.#o.role(table) === 'arbiter') {
      this.#asked.add(id);
      this.#opened(table, key);
      this.controls.push({ do: 'pull', table, key, met: xmins });
      return;
    }
    const open = this.#openPull(table, key);
    if (open) {
      this.#pulls.set(id, { ...open, skipped: true });
      this.controls.push({ do: 'skipped', table, key });
      return;
    }
    // Its id is given when it is written; no outcome of this transaction can answer it.
    this.#pulls.set(id, { id: '', met: xmins, skipped: false });
    this.controls.push({ do: 'pull', table, key, met: xmins });
  }

  /** Keys of a table that got an outcome or a pull in this transaction: every later change of them is decided. */
  openKeys(table: ApplyTable): readonly Key[] {
    return this.#openKeys.get(table.sql) ?? [];
  }
  readonly #openKeys = new Map<string, Key[]>();

  #opened(table: ApplyTable, key: Key): void {
    const keys = this.#openKeys.get(table.sql) ?? [];
    keys.push(key);
    this.#openKeys.set(table.sql, keys);
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
    this.#opened(table, key);
    this.controls.push(outcome);
  }
}

const idOf = (table: ApplyTable, key: Key): string => `${table.sql} ${keyText(key)}`;

const isOwn = (xmin: number, own: XidRanges, next: bigint): boolean => {
  const high = next & ~0xffff_ffffn;
  const xid = high + BigInt(xmin);
  return hasXid(own, xid <= next ? xid : xid - 0x1_0000_0000n);
};

/** A row of text[] for a control row. */
export const rowParameter = (row: Row | null): (string | null)[] | null => row?.map((v) => v ?? null) ?? null;
