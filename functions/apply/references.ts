import { type MissingParentRule, type Orphaned, remedyOf } from '../../shared/conflict/foreign-keys.ts';
import { type Key, keyText, type Row } from '../../shared/conflict/rows.ts';
import type { Change } from '../../shared/conflict/steps.ts';
import type { ExactChange, ReferenceNotes, Role } from './exact.ts';
import type { SetStatement } from './plan.ts';
import {
  lackParents,
  leaveChildren,
  orphansOf,
  type Reference,
  type References,
  readReferences,
} from './references-sql.ts';
import type { Session } from './session.ts';
import type { ApplyTable } from './tables.ts';

/*
 * Foreign keys are not checked for rows that are applied (replica role). One side may delete a parent while the other
 * writes a child: no row is in conflict, and both would keep a child without parent. So what a transaction did to
 * parents and children is looked at before it commits. In between it may violate a foreign key: an ON DELETE CASCADE
 * deletes the parent first.
 */

export type ReferenceSettings = {
  readonly rule: MissingParentRule;
  readonly role: (table: ApplyTable) => Role;
  /** The other side has the same foreign key: rows that break one that only this side has are not conflicts. */
  readonly isKnown: (child: ApplyTable, signature: string) => boolean;
};

/** A key of a parent that rows may refer to, and what happened to it. */
type Noted = {
  readonly parent: ApplyTable;
  readonly key: Key;
  /** The change that it is decided for. */
  exact: ExactChange;
} & { -readonly [Field in keyof Orphaned]: Orphaned[Field] };

/** Carries out changes that come of foreign keys. */
export type Carry = (exact: ExactChange) => Promise<void>;

export class ReferenceChecks implements ReferenceNotes {
  readonly #session: Session;
  readonly #settings: ReferenceSettings;
  readonly #of = new Map<ApplyTable, References>();
  #sets: SetStatement[] = [];
  #heldBytes = 0;
  /** Rows as they were last read or written, of parents. */
  readonly #rows = new Map<string, Row>();
  readonly #noted = new Map<string, Noted>();

  constructor(session: Session, settings: ReferenceSettings) {
    this.#session = session;
    this.#settings = settings;
  }

  async load(table: ApplyTable): Promise<void> {
    if (this.#of.has(table)) return;
    const { role, isKnown } = this.#settings;
    const mine = role(table);
    // Without replica role the server checks by itself. Tables that each side decides for itself are left alone.
    const all =
      this.#session.replica && mine !== 'alone'
        ? await readReferences(this.#session, table, isKnown)
        : { toParents: [], toChildren: [] };
    const same = ({ child, parent }: Reference) => role(child) === mine && role(parent) === mine;
    // The follower only looks at parents that it deletes.
    const toParents = mine === 'arbiter' ? all.toParents.filter(same) : [];
    const restores = mine === 'arbiter' || this.#settings.rule === 'restore-parent';
    this.#of.set(table, { toParents, toChildren: restores ? all.toChildren.filter(same) : [] });
  }

  /** True if parents of its rows are looked for. */
  isChild(table: ApplyTable): boolean {
    return (this.#of.get(table)?.toParents.length ?? 0) > 0;
  }

  addSet(statement: SetStatement): void {
    const of = this.#of.get(statement.table);
    if (!of) return;
    const concerns = statement.op === 'delete' ? of.toChildren : of.toParents;
    if (concerns.length === 0) return;
    this.#sets.push(statement);
    for (const parameter of statement.parameters) this.#heldBytes += parameter.length;
  }

  /** What is all right by now is forgotten, where it is much: parents come before their children, mostly. */
  async lighten(): Promise<void> {
    if (this.#heldBytes < HELD_BYTES) return;
    const sets = this.#sets;
    this.#sets = [];
    this.#heldBytes = 0;
    for (const set of sets) if (await this.#isBroken(set)) this.addSet(set);
  }

  met(table: ApplyTable, key: Key, row: Row): void {
    if (this.#isParent(table)) this.#rows.set(idOf(table, key), row);
  }

  wrote(exact: ExactChange, row: Row): void {
    const { table } = exact;
    for (const { parent, columns } of this.#of.get(table)?.toParents ?? []) {
      const key = columns.map((c) => row[c]);
      if (key.every((value) => typeof value === 'string')) this.#note(parent, key as string[], exact);
    }
    if (exact.change.op === 'move' && this.#isParent(table)) this.#note(table, exact.change.key, exact);
  }

  removed(exact: ExactChange, key: Key): void {
    const { table, change } = exact;
    if (!this.#isParent(table)) return;
    // What the arbiter has decided stays deleted at the follower.
    const former = change.op === 'outcome' ? null : (this.#rows.get(idOf(table, key)) ?? null);
    this.#note(table, key, exact).former = former;
  }

  answered(exact: ExactChange): void {
    if (this.#isParent(exact.table)) this.#note(exact.table, exact.change.key, exact).answered = true;
  }

  /** Nothing that a foreign key is about was done row by row. */
  get isEmpty(): boolean {
    return this.#noted.size === 0;
  }

  /** Whether sets have left children without parents. */
  async areBroken(): Promise<boolean> {
    for (const set of this.#sets.splice(0)) if (await this.#isBroken(set)) return true;
    return this.#someOrphans();
  }

  async #isBroken({ op, table, columns, parameters }: SetStatement): Promise<boolean> {
    const { toParents, toChildren } = this.#of.get(table)!;
    const valuesOf = (of: readonly number[]) => of.map((c) => parameters[columns.indexOf(c)]);
    if (op === 'delete') {
      for (const reference of toChildren)
        if (await leaveChildren(this.#session, reference, valuesOf(table.key))) return true;
      return false;
    }
    for (const reference of toParents)
      if (reference.columns.every((c) => columns.includes(c)))
        if (await lackParents(this.#session, reference, valuesOf(reference.columns))) return true;
    return false;
  }

  /** Whether any of the parents that were noted is missing and has children; those that are there are locked. */
  async #someOrphans(): Promise<boolean> {
    const byParent = new Map<ApplyTable, Key[]>();
    for (const { parent, key } of this.#noted.values()) {
      const keys = byParent.get(parent);
      if (keys) keys.push(key);
      else byParent.set(parent, [key]);
    }
    for (const [parent, keys] of byParent) {
      const values = parent.key.map((_, i) => keys.map((key) => key[i]));
      for (const reference of await this.#referring(parent))
        if (await lackParents(this.#session, reference, values))
          if (await leaveChildren(this.#session, reference, values)) return true;
    }
    return false;
  }

  /** Does what the rule says for each child that has no parent, until there is none. */
  async settle(carry: Carry): Promise<void> {
    for (let again = true; again && (await this.#someOrphans()); ) {
      again = false;
      for (const noted of [...this.#noted.values()])
        for (const reference of await this.#referring(noted.parent)) {
          const orphans = await orphansOf(this.#session, reference, noted.key);
          if (orphans.length > 0 && (await this.#remedy(noted, reference, orphans, carry))) again = true;
        }
    }
  }

  async #remedy(noted: Noted, { child, parent }: Reference, orphans: Key[], carry: Carry): Promise<boolean> {
    const { rule, role } = this.#settings;
    const { key, former, tried } = noted;
    const canKeep = rule === 'restore-parent' && former !== null && tried === 'nothing';
    const remedy =
      role(parent) === 'arbiter' ? remedyOf(rule, noted) : canKeep ? ('keep-parent' as const) : 'wait';
    if (remedy === 'wait') return false;
    noted.tried = remedy === 'ask-parent' ? 'asked' : 'kept';
    const run = (table: ApplyTable, change: Change) => carry({ ...noted.exact, table, change });
    if (remedy === 'keep-parent') await run(noted.parent, { op: 'keep-parent', key, row: former! });
    else if (remedy === 'ask-parent') await run(parent, { op: 'ask-parent', key });
    else for (const each of orphans) await run(child, { op: 'drop-child', key: each });
    return true;
  }

  /** The references of a parent, also where only its children have been met so far. */
  async #referring(parent: ApplyTable): Promise<readonly Reference[]> {
    await this.load(parent);
    return this.#childrenOf(parent);
  }

  #childrenOf(parent: ApplyTable): readonly Reference[] {
    const loaded = this.#of.get(parent)?.toChildren;
    if (loaded) return loaded;
    return [...this.#of.values()].flatMap(({ toParents }) =>
      toParents.filter((reference) => reference.parent.sql === parent.sql),
    );
  }

  #isParent(table: ApplyTable): boolean {
    return (this.#of.get(table)?.toChildren.length ?? 0) > 0;
  }

  #note(parent: ApplyTable, key: Key, exact: ExactChange): Noted {
    const id = idOf(parent, key);
    const noted = this.#noted.get(id);
    if (noted) {
      noted.exact = exact;
      return noted;
    }
    const fresh: Noted = { parent, key, exact, former: null, answered: false, tried: 'nothing' };
    this.#noted.set(id, fresh);
    return fresh;
  }
}

/** Parameters that are held for the look at the end; a transaction in parts may have any number. */
const HELD_BYTES = 32 * 1024 * 1024;

const idOf = (table: ApplyTable, key: Key): string => `${table.sql} ${keyText(key)}`;
