import type { Key } from '../../shared/conflict/rows.ts';
import { keyText } from '../../shared/conflict/rows.ts';
import { qualified } from '../../shared/postgres/ident.ts';
import { type Relation, tag } from '../../shared/postgres/pgoutput.ts';
import type { ApplySettings, Batch } from './apply-settings.ts';
import type { OpenControls } from './control-book.ts';
import { readControlRow, rowHere } from './control-rows.ts';
import { lockUnchecked } from './deferrable.ts';
import type { ExactChange, ExactExecutor, Role } from './exact.ts';
import type { NetRow } from './net-change.ts';
import { readKeys } from './rows.ts';
import type { Session } from './session.ts';
import { changeOf, changesOf, keyOfText, sourceOf } from './source-changes.ts';
import type { ApplyTable } from './tables.ts';

/** What those who write one destination transaction share. */
export type Writing = {
  readonly session: Session;
  readonly settings: ApplySettings;
  readonly role: (table: ApplyTable) => Role;
  readonly executor: ExactExecutor;
  /** Control rows that were open when it began. */
  readonly open: OpenControls;
  /** Of the relations of the batch. */
  readonly tables: ReadonlyMap<Relation, ApplyTable>;
};

/** The changes of a batch one by one, at their place in source order. */
export class SingleChanges {
  readonly #w: Writing;
  readonly #batch: Batch;

  constructor(writing: Writing, batch: Batch) {
    this.#w = writing;
    this.#batch = batch;
  }

  /** Carries out all of them. */
  async write(): Promise<void> {
    for (const [n, t] of this.#batch.transactions.entries())
      for (let i = t.from; i < t.to; i++) {
        if (this.isTruncate(i)) await this.truncate(i, n);
        else await this.#w.executor.apply(await this.changesAt(i, n));
      }
  }

  /** What change `i`, of transaction `n`, is for the decision code; nothing where it does not concern us. */
  async changesAt(i: number, n: number): Promise<ExactChange[]> {
    const { decoded, transactions, seenBy } = this.#batch;
    const { settings, tables } = this.#w;
    const [t, seen] = [transactions[n]!, seenBy[n]!];
    const relation = decoded.relations[i]!;
    const source = sourceOf(t, decoded.indexes[i]!, settings.there);
    const first = source.position;
    if (relation.schema === 'pgtwin') {
      const control = readControlRow(decoded.bytes, relation, decoded.newAt[i]!);
      const table = control && (await this.#tableNamed(control.relation));
      if (!control || !table) return [];
      // An answer's row has a time of its own; the transaction that carries it is younger.
      const version =
        control.time === null ? source : { ...source, time: control.time, side: control.side ?? source.side };
      const change = changeOf(control, rowHere(control, table.source));
      return [{ change, table, seen, source: version, first }];
    }
    const table = tables.get(relation)!;
    if (!settings.wants(table, decoded.tags[i]!)) return [];
    const row: NetRow = {
      op: decoded.tags[i] === tag.insert ? 'insert' : decoded.tags[i] === tag.update ? 'update' : 'delete',
      at: decoded.newAt[i]! || Math.abs(decoded.oldAt[i]!),
      deleteAt: 0,
      refs: undefined,
      first: i,
      last: i,
    };
    return changesOf(decoded, table, row).map((change) => ({ change, table, seen, source, first }));
  }

  isTruncate(i: number): boolean {
    const { tags, relations } = this.#batch.decoded;
    return tags[i] === tag.truncate && this.#w.tables.has(relations[i]!);
  }

  /** A TRUNCATE as one decision per row: it would fail on tables that foreign keys refer to, even in replica role. */
  async truncate(i: number, n: number): Promise<void> {
    const { decoded, transactions, seenBy } = this.#batch;
    const { session, settings, role, executor } = this.#w;
    const [t, seen] = [transactions[n]!, seenBy[n]!];
    const table = this.#w.tables.get(decoded.relations[i]!)!;
    if (!settings.wants(table, tag.truncate)) return;
    if (role(table) === 'alone') {
      await session.client.query(/* sql */ `delete from ${table.target}`);
      return;
    }
    const source = sourceOf(t, decoded.indexes[i]!, settings.there);
    const clear = (keys: readonly Key[]) =>
      executor.apply(
        keys.map((key) => ({
          ...{ change: { op: 'truncate-row', key }, table, seen, source, first: source.position },
        })),
      );
    const done = new Set<string>();
    for (let after: Key | undefined; ; ) {
      const keys = await readKeys(session, table, after, 10_000);
      for (const key of keys) done.add(keyText(key));
      await clear(keys);
      if (keys.length < 10_000) break;
      after = keys.at(-1);
    }
    const open = [...(this.#w.open.get(table.sql)?.keys() ?? [])].filter((text) => !done.has(text));
    await clear(open.map((text) => keyOfText(table, text)));
  }

  /** A control row's table, by its quoted name at the source; it may not have had a change in this process yet. */
  async #tableNamed(name: string): Promise<ApplyTable | undefined> {
    for (const table of this.#w.tables.values())
      if (qualified(table.source.schema, table.source.name) === name) return table;
    const table = await this.#w.session.tableNamed(name);
    if (table) await lockUnchecked(this.#w.session, table);
    return table;
  }
}
