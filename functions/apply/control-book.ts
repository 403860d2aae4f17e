import { type Key, keyText, type Side } from '../../shared/conflict/rows.ts';
import { isUnseen, type Seen } from '../../shared/conflict/seen.ts';
import type { OpenControl } from './control-rows.ts';
import type { ApplyTable } from './tables.ts';

export type Version = { readonly time: bigint | null; readonly side: Side };
export type OpenPull = { readonly id: string; readonly met: readonly string[]; readonly skipped: boolean };

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
export type PullWrite = {
  readonly do: 'pull';
  readonly table: ApplyTable;
  readonly key: Key;
  /** Xmins of the rows that were in the way. */
  readonly met: readonly string[];
  /** At the follower: more of the key was skipped since. */
  skipped: boolean;
};

/** What becomes of a pull that was open before this transaction. Nobody is told. */
export type PullChange = { readonly do: 'close' | 'skipped'; readonly table: ApplyTable; readonly key: Key };

/** By relation and key, what is kept here: at the arbiter what it has published or asked, at the follower open pulls. */
export type OpenControls = ReadonlyMap<string, ReadonlyMap<string, readonly OpenControl[]>>;

/** The outcomes, pulls and answers of one destination transaction, on top of those that were open before it. */
export class ControlBook {
  /** In the order of the steps. */
  readonly writes: ControlWrite[] = [];
  readonly #open: OpenControls;
  readonly #next: bigint;
  readonly #outcomes = new Map<string, OutcomeWrite>();
  readonly #asked = new Set<string>();
  readonly #openKeys = new Map<string, Key[]>();
  readonly #versions = new Map<string, Version>();
  /** Xmin of a key's row as it was last read, for `met`. */
  readonly #xmins = new Map<string, string>();
  /** At the follower: open pulls as they are now; those that are new with what is written. */
  readonly #pulls = new Map<string, { readonly open: OpenPull; readonly write?: PullWrite } | null>();
  readonly #changes = new Map<string, PullChange>();

  /** `next` is the local database's next xid. */
  constructor(open: OpenControls, next: bigint) {
    this.#open = open;
    this.#next = next;
  }

  /** True if a key got an outcome or a pull of the arbiter in this transaction. */
  isOpen(table: ApplyTable, key: Key): boolean {
    return this.#outcomes.has(idOf(table, key)) || this.#asked.has(idOf(table, key));
  }

  /** The keys of a table that did: every later change of them is decided. */
  openKeys(table: ApplyTable): readonly Key[] {
    return this.#openKeys.get(table.sql) ?? [];
  }

  /** At the arbiter: whether the key has a control row that the author had not seen, and the version that won there. */
  published(table: ApplyTable, key: Key, seen: Seen): { open: boolean; version: Version | undefined } {
    const controls = this.#open.get(table.sql)?.get(keyText(key)) ?? [];
    const unseen = controls.filter((c) => isUnseen(c.xmin, seen, [], this.#next));
    const won = unseen.findLast((c) => c.side !== null);
    return { open: unseen.length > 0, version: won?.side ? { time: won.time, side: won.side } : undefined };
  }

  /** A row was read. */
  met(table: ApplyTable, key: Key, version: Version, xmin: number): void {
    this.#versions.set(idOf(table, key), version);
    this.#xmins.set(idOf(table, key), String(xmin));
  }

  /** A row was written or deleted. */
  wrote(table: ApplyTable, key: Key, version: Version): void {
    this.#versions.set(idOf(table, key), version);
    const outcome = this.#outcomes.get(idOf(table, key));
    if (outcome) outcome.version = version;
  }

  /** At the arbiter: a key is published, once, as it is at the end. */
  outcome(table: ApplyTable, key: Key, pull: string | undefined): void {
    const id = idOf(table, key);
    const known = this.#outcomes.get(id);
    if (known) {
      known.pull = pull ?? known.pull;
      return;
    }
    const outcome: OutcomeWrite = { do: 'outcome', table, key, pull, version: this.#versions.get(id) };
    this.#outcomes.set(id, outcome);
    this.#opened(table, key);
    this.writes.push(outcome);
  }

  /** At the arbiter: always a new pull. */
  ask(table: ApplyTable, key: Key): void {
    this.#asked.add(idOf(table, key));
    this.#opened(table, key);
    this.writes.push({ do: 'pull', table, key, met: [], skipped: false });
  }

  /** At the follower: one that is open stays. */
  pull(table: ApplyTable, key: Key, met: readonly Key[]): void {
    const id = idOf(table, key);
    const known = this.#pullOf(table, key);
    if (known?.open.skipped) return;
    if (known) {
      this.#pulls.set(id, { ...known, open: { ...known.open, skipped: true } });
      if (known.write) known.write.skipped = true;
      else this.#changes.set(id, { do: 'skipped', table, key });
      return;
    }
    const xmins = met.flatMap((each) => this.#xmins.get(idOf(table, each)) ?? []);
    const write: PullWrite = { do: 'pull', table, key, met: xmins, skipped: false };
    // Its id is given when it is written; no outcome of this transaction can answer it.
    this.#pulls.set(id, { open: { id: '', met: xmins, skipped: false }, write });
    this.writes.push(write);
  }

  /** At the follower: the open pull of a key is answered. */
  close(table: ApplyTable, key: Key): void {
    this.#changes.set(idOf(table, key), { do: 'close', table, key });
    this.#pulls.set(idOf(table, key), null);
  }

  answer(table: ApplyTable, key: Key, pull: string): void {
    this.writes.push({ do: 'answer', table, key, pull });
  }

  openPull(table: ApplyTable, key: Key): OpenPull | null {
    return this.#pullOf(table, key)?.open ?? null;
  }

  get pullChanges(): readonly PullChange[] {
    return [...this.#changes.values()];
  }

  #pullOf(table: ApplyTable, key: Key): { readonly open: OpenPull; readonly write?: PullWrite } | null {
    const known = this.#pulls.get(idOf(table, key));
    if (known !== undefined) return known;
    const stored = this.#open.get(table.sql)?.get(keyText(key))?.[0];
    return stored ? { open: stored } : null;
  }

  #opened(table: ApplyTable, key: Key): void {
    const keys = this.#openKeys.get(table.sql);
    if (keys) keys.push(key);
    else this.#openKeys.set(table.sql, [key]);
  }
}

const idOf = (table: ApplyTable, key: Key): string => `${table.sql} ${keyText(key)}`;
