import type { QueryArrayResult } from 'pg';
import { guardOf, isUnseen, type Seen } from '../../shared/conflict/seen.ts';
import type { XidRanges } from '../../shared/conflict/xid-ranges.ts';
import { tag } from '../../shared/postgres/pgoutput.ts';
import type { Batch } from './apply-settings.ts';
import { copyable, isForCopy, noteInserted, onlyInserts, type Tuples } from './copy-rows.ts';
import { type DeferredUniques, withConstraints } from './deferrable.ts';
import type { ExactChange } from './exact.ts';
import { keyString, type NetRow, type NetTable, netChanges } from './net-change.ts';
import { leftoverSql, nameOf, planTable, type SetStatement, sqlOf, untouchedSql } from './plan.ts';
import type { ReferenceChecks } from './references.ts';
import { RowCopy } from './row-copy.ts';
import { NeedsExact } from './row-sets.ts';
import { SingleChanges, type Writing } from './single-changes.ts';
import { changesOf, indexOfTransaction, keyOfText, positionIn, sourceOf } from './source-changes.ts';
import type { ApplyTable } from './tables.ts';

export type SetWriting = Writing & {
  readonly references: ReferenceChecks;
  readonly deferred: DeferredUniques | undefined;
  /** Apply's own xids, and the local database's next one. */
  readonly own: XidRanges;
  readonly next: bigint;
  /** Many new rows go by COPY. */
  readonly copies: boolean;
  /** A COPY that has nothing behind it is left open, since more of the transaction follows. */
  readonly leavesOpen: boolean;
};

/** Writes a batch by sets: what its changes come to for each key, one statement for many keys. */
export class SetWriter {
  readonly #w: SetWriting;
  readonly #batch: Batch;
  readonly #guard: readonly string[];

  constructor(writing: SetWriting, batch: Batch) {
    this.#w = writing;
    this.#batch = batch;
    // The first author of a batch had seen least: what its guard lets through, every later one had seen as well.
    this.#guard = guardOf(batch.seenBy[0]!, writing.own, writing.next);
  }

  /** Gives the COPY that is left open. */
  async write(): Promise<RowCopy | undefined> {
    const { tables, settings, executor } = this.#w;
    const { decoded, transactions } = this.#batch;
    const copied = this.#w.copies && (await this.#copyInserts());
    if (copied) return copied.open;
    const single = new SingleChanges(this.#w, this.#batch);
    const runs = netChanges(decoded, transactions, (i) => tables.get(decoded.relations[i]!), settings.wants);
    // Changes that stand by themselves and behind one another, control rows above all.
    let alone: ExactChange[] = [];
    const carryOut = async (): Promise<void> => {
      await executor.apply(alone);
      alone = [];
    };
    for (const run of runs) {
      if ('net' in run) {
        await carryOut();
        await this.#writeTables(run.net);
        continue;
      }
      const n = indexOfTransaction(transactions, run.alone);
      if (single.isTruncate(run.alone)) {
        await carryOut();
        await single.truncate(run.alone, n);
      } else alone.push(...(await single.changesAt(run.alone, n)));
    }
    await carryOut();
    return undefined;
  }

  /** Changes that are nothing but many new rows: by COPY, without netting. Undefined, and nothing is done, of others. */
  async #copyInserts(): Promise<{ open: RowCopy | undefined } | undefined> {
    const { session, tables, settings, executor, references } = this.#w;
    const { decoded, transactions } = this.#batch;
    const inserts = onlyInserts(decoded, transactions, (relation) => tables.get(relation));
    if (!inserts) return undefined;
    for (const [table, { length }] of inserts) {
      await references.load(table);
      if (!isForCopy(table, length) || references.isChild(table)) return undefined;
      if (!settings.wants(table, tag.insert)) return undefined;
      if (this.#contended(table).length + executor.controls.openKeys(table).length > 0) return undefined;
    }
    const [one] = inserts;
    if (this.#w.leavesOpen && one && inserts.size === 1) {
      const open = new RowCopy(session, one[0]);
      await open.add(decoded.bytes, one[1], one[1].length);
      return { open };
    }
    for (const [table, tuples] of inserts) await this.#copy(table, tuples, tuples.length);
    return { open: undefined };
  }

  async #copy(table: ApplyTable, tuples: Tuples, count: number): Promise<void> {
    const copy = new RowCopy(this.#w.session, table);
    await copy.add(this.#batch.decoded.bytes, tuples, count);
    await copy.end();
  }

  /**
   * All statements are sent one behind the other; then, table by table, what did not go as planned is decided. Tables
   * of one run have no keys in common.
   */
  async #writeTables(nets: readonly NetTable[]): Promise<void> {
    const { session, executor, references, role } = this.#w;
    const sent: { net: NetTable; left: NetRow[]; statements: SentStatement[] }[] = [];
    for (const net of nets) {
      const guarded = role(net.table) !== 'alone';
      await references.load(net.table);
      // Their keys are in the middle of a conflict: a plain statement would write over what is decided.
      const left = take(net.rows, this.#contended(net.table));
      left.push(...take(net.rows, executor.controls.openKeys(net.table).map(keyString)));
      const statements: SentStatement[] = [];
      sent.push({ net, left, statements });
      const { bytes } = this.#batch.decoded;
      const tuples = this.#w.copies && !references.isChild(net.table) ? copyable(net) : undefined;
      if (tuples) await this.#copy(net.table, tuples, net.rows.size);
      else
        for (const s of planTable(bytes, net))
          statements.push(this.#send(s, guarded && s.op !== 'insert' ? this.#guard : []));
    }
    for (const { net, left, statements } of sent) {
      for (const statement of statements) for (const row of await this.#leftOf(statement)) left.push(row);
      if (left.length > 0) await this.#decide(net.table, left);
    }
    await session.sent.all();
  }

  /**
   * Keys, as netting has them, with an outcome or pull that the first author of the batch had not seen: what the batch
   * comes to for them is decided. What that author had seen, every later one had too.
   */
  #contended(table: ApplyTable): readonly string[] {
    const { open: all, role, next } = this.#w;
    const open = all.get(table.sql);
    if (!open || role(table) !== 'arbiter') return [];
    const known = this.#contendedOf.get(table);
    if (known) return known;
    const seen: Seen = this.#batch.seenBy[0]!;
    const keys = [...open]
      .filter(([, controls]) => controls.some((c) => isUnseen(c.xmin, seen, [], next)))
      .map(([text]) => keyString(keyOfText(table, text)));
    this.#contendedOf.set(table, keys);
    return keys;
  }
  readonly #contendedOf = new Map<ApplyTable, readonly string[]>();

  /** Rows that did not go as planned, in the order of their first change. */
  async #decide(table: ApplyTable, left: readonly NetRow[]): Promise<void> {
    const { decoded, transactions, seenBy } = this.#batch;
    const { executor, settings } = this.#w;
    const rows = [...new Set(left)].sort((a, b) => a.first - b.first);
    await executor.apply(
      rows.flatMap((row) => {
        const n = indexOfTransaction(transactions, row.first);
        const last = transactions[indexOfTransaction(transactions, row.last)]!;
        const source = sourceOf(last, decoded.indexes[row.last]!, settings.there);
        const first = positionIn(transactions[n]!, decoded.indexes[row.first]!);
        return changesOf(decoded, table, row).map((change) => ({
          ...{ change, table, seen: seenBy[n]!, source, first },
        }));
      }),
    );
  }

  /** Sends one statement. */
  #send(s: SetStatement, guard: readonly string[]): SentStatement {
    const { session } = this.#w;
    const guarded = guard.length > 0;
    // Where some rows were in conflict lately more may be.
    const tells = guarded && s.op === 'update' && inConflict.has(s.table);
    const text = tells ? untouchedSql(s) : sqlOf(s, guarded);
    const answer = withConstraints(session, s.table, () =>
      session.client.query({
        name: nameOf(text),
        text,
        values: [...s.parameters, ...guard, ...(tells ? [s.rows.length] : [])],
        rowMode: 'array',
        types: { getTypeParser: () => (value: string) => value },
      }),
    );
    return { s, tells, answer: session.sent.add(answer) };
  }

  /** The rows of a statement that did not go as planned. */
  async #leftOf({ s, tells, answer }: SentStatement): Promise<NetRow[]> {
    const { session, deferred, references } = this.#w;
    const result = await answer;
    deferred?.addSet(s);
    references.addSet(s);
    const numbers = (result.rows as unknown as string[][]).map(([n]) => Number(n));
    if (tells) {
      if (numbers.length === 0) inConflict.delete(s.table);
      return numbers.map((n) => s.rows[n - 1]!);
    }
    const all = result.rowCount === s.rows.length;
    if (s.op === 'insert') noteInserted(s.table, all);
    if (all) return [];
    if (s.op === 'delete') {
      const gone = new Set(numbers);
      return s.rows.filter((_, i) => !gone.has(i + 1));
    }
    if (s.op === 'update') inConflict.add(s.table);
    const found = await session.client.query<{ n: number }>(leftoverSql(s), [...s.parameters]);
    const rows = found.rows.map(({ n }) => s.rows[n - 1]!);
    if (rows.length !== s.rows.length - (result.rowCount ?? 0)) throw new NeedsExact();
    return rows;
  }
}

type SentStatement = {
  readonly s: SetStatement;
  /** It gives the rows that were not touched, not those that were. */
  readonly tells: boolean;
  readonly answer: Promise<QueryArrayResult>;
};

/** Tables with rows that an UPDATE has not touched lately. */
const inConflict = new WeakSet<ApplyTable>();

/** Takes the rows of some keys out. */
function take(rows: Map<string, NetRow>, keys: readonly string[]): NetRow[] {
  return keys.flatMap((key) => {
    const row = rows.get(key);
    rows.delete(key);
    return row ?? [];
  });
}
