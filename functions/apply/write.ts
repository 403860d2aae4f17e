import type { Settings } from '../../shared/conflict/policies/policy.ts';
import { type Key, keyText, type Row, type Side } from '../../shared/conflict/rows.ts';
import {
  guardOf,
  isUnseen,
  parseSeen,
  type Seen,
  unionSeen,
  widenXid,
  withFloor,
  withTransactions,
} from '../../shared/conflict/seen.ts';
import type { Change, SourceFacts } from '../../shared/conflict/steps.ts';
import { addXids, type XidRanges } from '../../shared/conflict/xid-ranges.ts';
import { qualified } from '../../shared/postgres/ident.ts';
import { type Relation, tag, valueAt } from '../../shared/postgres/pgoutput.ts';
import type { DecodedChanges, DecodedTransaction } from '../../shared/stream/decode.ts';
import { lsnText } from '../../shared/stream/position.ts';
import { type ConflictLogSettings, logConflicts, pruneLog } from './conflict-log.ts';
import {
  type ControlRow,
  type OpenControl,
  readControlRow,
  readOpenControls,
  rowHere,
} from './control-rows.ts';
import { copyable, copyRows, isForCopy, onlyInserts } from './copy-rows.ts';
import { DeferredUniques, lockUnchecked, withConstraints } from './deferrable.ts';
import { type ChoiceOf, type ExactChange, ExactExecutor, type LoggedConflict, type Role } from './exact.ts';
import { keyString, type NetRow, type NetTable, netChanges, refsOf, withKeyOf } from './net-change.ts';
import type { ShapeOf } from './objects.ts';
import { leftoverSql, nameOf, planTable, type SetStatement, sqlOf, untouchedSql } from './plan.ts';
import { advanceProgress, type Progress } from './progress.ts';
import { cleanControls, cleaningIsDue, writeControls } from './record.ts';
import { ReferenceChecks, type ReferenceSettings } from './references.ts';
import { NeedsExact } from './row-sets.ts';
import { readKeys } from './rows.ts';
import type { Session } from './session.ts';
import type { ApplyTable } from './tables.ts';
import { pruneTombstones } from './tombstones.ts';

/** What apply does for one task, from its configuration. */
export type ApplySettings = {
  readonly opposite: string;
  readonly here: Side;
  readonly there: Side;
  readonly arbiter: Side;
  /** The role in the conflict protocol; `alone` for tables that only one task has. */
  readonly role: (table: ApplyTable) => Role;
  readonly settings: (table: ApplyTable, source: SourceFacts) => Settings;
  readonly choice: ChoiceOf;
  readonly log: ConflictLogSettings;
  /** What becomes of rows whose parent the other side has deleted. */
  readonly references: Pick<ReferenceSettings, 'rule' | 'isKnown'>;
  /** True if deletions by this side's users are noted (onDeleted "by-time"). */
  readonly tombstones: boolean;
  /** False for operations that the task leaves out. */
  readonly wants: (table: ApplyTable, kind: number) => boolean;
  /** What becomes of rows before they are applied; undefined where all stay as they are. */
  readonly shapeOf: ShapeOf | undefined;
};

/**
 * How the rows of a batch are written: by sets (`copy`: new rows by COPY), or each original change by itself; `strict`
 * is the latter with deferrable unique constraints looked at by every change.
 */
export type Mode = 'copy' | 'sets' | 'exact' | 'strict';

/** What a source transaction's author had seen of this side, for each transaction of a batch. */
export type SeenBy = readonly Seen[];

/**
 * The rows of one destination transaction. The order is that of design, section 4: the progress row is locked and
 * advanced first, then an origin marks the user's rows, then control rows and the conflict log without it, commit.
 */
export class BatchWriter {
  readonly #session: Session;
  readonly #settings: ApplySettings;
  readonly #progress: Progress;
  #own: XidRanges = [];
  readonly #published: boolean;
  #open: ReadonlyMap<string, ReadonlyMap<string, readonly OpenControl[]>> = new Map();
  #executor: ExactExecutor | undefined;
  #deferred: DeferredUniques | undefined;
  readonly #references: ReferenceChecks;
  #mode: Mode = 'sets';
  #seen: Seen;
  #tables = new Map<Relation, ApplyTable>();
  #userChanges = 0;
  #copies = false;

  constructor(session: Session, settings: ApplySettings, progress: Progress) {
    this.#session = session;
    this.#settings = settings;
    this.#progress = progress;
    this.#seen = progress.seen;
    // Without a slot of the opposite task nobody reads outcomes, and nothing is known of what was seen.
    this.#published = progress.slotXmin !== undefined;
    this.#references = new ReferenceChecks(session, {
      ...settings.references,
      role: (table) => this.#role(table),
    });
  }

  /** What of this side counts as seen by a message's author, beyond what the message says. */
  seenFloor(seen: Seen): Seen {
    const { slotXmin } = this.#progress;
    if (slotXmin === undefined) return seen;
    // Most transactions of a message share one state.
    if (this.#floored?.seen !== seen) this.#floored = { seen, raised: withFloor(seen, slotXmin, slotXmin) };
    return this.#floored.raised;
  }
  #floored: { readonly seen: Seen; readonly raised: Seen } | undefined;

  get conflicts(): readonly LoggedConflict[] {
    return this.#executor?.conflicts ?? [];
  }

  #role(table: ApplyTable): Role {
    return this.#published ? this.#settings.role(table) : 'alone';
  }

  /** Row changes of users and control rows; heartbeats only move the floor. */
  async advance(batch: {
    decoded: DecodedChanges;
    transactions: readonly DecodedTransaction[];
    generation: number;
    epoch: number;
    ownFloor: bigint;
    /** Of a transaction in parts, whose commit is not read yet: from the message's header. */
    whole?: { endLsn: string; changes: number };
  }): Promise<void> {
    const { decoded, transactions } = batch;
    this.#note(decoded, transactions);
    const last = transactions.at(-1)!;
    if (batch.whole) this.#userChanges = batch.whole.changes;
    await advanceProgress(this.#session, {
      generation: batch.generation,
      epoch: batch.epoch,
      position: last.position,
      endLsn: batch.whole?.endLsn ?? lsnText(last.endLsn),
      sourceTime: last.time,
      seen: this.#seen,
      xid: this.#userChanges > 0 ? this.#progress.xid : undefined,
      own: this.#progress.own,
      ownFloor: batch.ownFloor,
      transactions: transactions.length,
      changes: this.#userChanges,
    });
  }

  /** What this side has seen of the source after the transactions; counts row changes. */
  #note(decoded: DecodedChanges, transactions: readonly DecodedTransaction[]): void {
    let met: { xid: bigint; time: bigint }[] = [];
    let { next } = this.#seen;
    const settle = (): void => {
      this.#seen = withTransactions(this.#seen, met);
      met = [];
    };
    for (const t of transactions) {
      const xid = widenXid(t.xid, next);
      if (xid >= next) next = xid + 1n;
      met.push({ xid, time: t.time });
      for (let i = t.from; i < t.to; i++) {
        const relation = decoded.relations[i]!;
        if (relation.schema !== 'pgtwin' || relation.name !== 'heartbeat') {
          this.#userChanges += 1;
          continue;
        }
        const refs = refsOf(decoded.bytes, decoded.newAt[i]!);
        const value = (name: string) =>
          valueAt(decoded.bytes, refs[relation.columns.findIndex((c) => c.name === name)]!);
        const [xmin, xmax] = [value('xid_floor'), value('xid_next')];
        if (!xmin || !xmax) continue;
        settle();
        this.#seen = withFloor(this.#seen, BigInt(xmin), BigInt(xmax));
        next = this.#seen.next;
      }
    }
    settle();
  }

  /** Writes the rows. `seenBy` gives what each transaction's author had seen of this side. */
  async write(
    decoded: DecodedChanges,
    transactions: readonly DecodedTransaction[],
    seenBy: SeenBy,
    mode: Mode,
  ): Promise<void> {
    const { client } = this.#session;
    await this.#prepareTables(decoded, transactions);
    const executor = await this.#exact(mode);
    if (mode === 'exact' && [...this.#tables.values()].some((table) => table.deferrable.length > 0))
      await client.query(/* sql */ `set constraints all deferred`);
    if (this.#session.origin)
      await client.query(/* sql */ `select pg_replication_origin_session_setup($1)`, [this.#session.origin]);
    this.#copies = mode === 'copy';
    if (mode === 'sets' || mode === 'copy') {
      await this.#writeSets(decoded, transactions, seenBy, executor);
      await this.#references.lighten();
    } else
      for (const [n, t] of transactions.entries())
        for (let i = t.from; i < t.to; i++) {
          if (this.#isTruncate(decoded, i)) await this.#truncate(decoded, i, t, seenBy[n]!, executor);
          else await executor.apply(await this.#changesAt(decoded, i, t, seenBy[n]!));
        }
    // After a failure no statement is taken any more: the session's origin is then reset behind the ROLLBACK.
    if (this.#session.origin) await client.query(/* sql */ `select pg_replication_origin_session_reset()`);
  }

  /** Control rows, conflict log, cleaning; then the caller commits. */
  async finish(ownFloor: bigint): Promise<void> {
    const executor = this.#executor;
    if (!executor) return;
    await this.#settleReferences(executor);
    if (await this.#deferred?.areViolated()) throw new NeedsExact();
    const { opposite, here } = this.#settings;
    await writeControls(this.#session, opposite, here, executor.controls);
    await logConflicts(this.#session, executor.conflicts, this.#settings.log);
    await pruneLog(this.#session, this.#settings.log, performance.now());
    if (this.#settings.tombstones)
      await pruneTombstones(this.#session, this.#published ? ownFloor : undefined, performance.now());
    if (!this.#published) return;
    const { client, ownXids } = this.#session;
    await ownXids.prune(client, ownFloor);
    const arbiter = this.#settings.here === this.#settings.arbiter;
    // The arbiter's are those that are open. A follower's answers are not looked at, only now and then for cleaning.
    if ((!arbiter || this.#open.size > 0) && cleaningIsDue(this.#session, performance.now()))
      await cleanControls(client, opposite, ownFloor, arbiter);
  }

  /** Children without parent: sets can't tell what is to be done. */
  async #settleReferences(executor: ExactExecutor): Promise<void> {
    if (this.#mode === 'sets' || this.#mode === 'copy') {
      if (await this.#references.areBroken()) throw new NeedsExact();
      return;
    }
    if (this.#references.isEmpty) return;
    const { client, origin } = this.#session;
    if (origin) await client.query(/* sql */ `select pg_replication_origin_session_setup($1)`, [origin]);
    await this.#references.settle((exact) => executor.apply([exact]));
    if (origin) await client.query(/* sql */ `select pg_replication_origin_session_reset()`);
  }

  async #exact(mode: Mode): Promise<ExactExecutor> {
    if (this.#executor) return this.#executor;
    this.#mode = mode;
    this.#deferred = mode === 'strict' ? undefined : new DeferredUniques(this.#session);
    const { opposite, here, there, settings, choice } = this.#settings;
    if (this.#published) {
      const { client, ownXids } = this.#session;
      this.#open = await readOpenControls(client, opposite);
      this.#own = addXids(await ownXids.current(client, this.#progress.own), [this.#progress.xid]);
    }
    this.#executor = new ExactExecutor({
      session: this.#session,
      inSets: mode === 'sets' || mode === 'copy',
      deferred: this.#deferred,
      references: this.#references,
      role: (table) => this.#role(table),
      settings,
      here,
      there,
      own: this.#own,
      next: this.#progress.next,
      open: this.#open,
      choice,
    });
    return this.#executor;
  }

  async #prepareTables(decoded: DecodedChanges, transactions: readonly DecodedTransaction[]): Promise<void> {
    this.#tables.clear();
    for (const t of transactions)
      for (let i = t.from; i < t.to; i++) {
        const relation = decoded.relations[i]!;
        if (relation.schema === 'pgtwin' || this.#tables.has(relation)) continue;
        const table = await this.#session.table(relation);
        await lockUnchecked(this.#session, table);
        this.#tables.set(relation, table);
      }
  }

  async #writeSets(
    decoded: DecodedChanges,
    transactions: readonly DecodedTransaction[],
    seenBy: SeenBy,
    executor: ExactExecutor,
  ): Promise<void> {
    if (this.#copies && (await this.#copyInserts(decoded, transactions, seenBy[0]!, executor))) return;
    // The first author of a batch had seen least: what its guard lets through, every later one had seen as well.
    const guard = guardOf(seenBy[0]!, this.#own, this.#progress.next);
    const transactionOf = (change: number) => indexOfTransaction(transactions, change);
    const runs = netChanges(
      decoded,
      transactions,
      (i) => this.#tables.get(decoded.relations[i]!),
      (table, kind) => this.#settings.wants(table, kind),
    );
    // Changes that stand by themselves and behind one another, control rows above all.
    let alone: ExactChange[] = [];
    const carryOut = async (): Promise<void> => {
      await executor.apply(alone);
      alone = [];
    };
    for (const run of runs) {
      if ('net' in run) {
        await carryOut();
        for (const net of run.net)
          await this.#writeTable(decoded, net, guard, transactions, seenBy, executor);
        continue;
      }
      const n = transactionOf(run.alone);
      const [t, seen] = [transactions[n]!, seenBy[n]!];
      if (this.#isTruncate(decoded, run.alone)) {
        await carryOut();
        await this.#truncate(decoded, run.alone, t, seen, executor);
      } else alone.push(...(await this.#changesAt(decoded, run.alone, t, seen)));
    }
    await carryOut();
  }

  /** Changes that are nothing but many new rows: by COPY, without netting. False, and nothing is done, of others. */
  async #copyInserts(
    decoded: DecodedChanges,
    transactions: readonly DecodedTransaction[],
    seen: Seen,
    executor: ExactExecutor,
  ): Promise<boolean> {
    const inserts = onlyInserts(decoded, transactions, (relation) => this.#tables.get(relation));
    if (!inserts) return false;
    for (const [table, { length }] of inserts) {
      await this.#references.load(table);
      if (!isForCopy(table, length) || this.#references.isChild(table)) return false;
      if (!this.#settings.wants(table, tag.insert)) return false;
      if (this.#contended(table, seen).length + executor.controls.openKeys(table).length > 0) return false;
    }
    for (const [table, tuples] of inserts) await copyRows(this.#session.client, table, decoded.bytes, tuples);
    return true;
  }

  /**
   * Keys, as netting has them, with an outcome or pull that the first author of the batch had not seen: what the batch
   * comes to for them is decided. What that author had seen, every later one had too.
   */
  #contended(table: ApplyTable, seen: Seen): readonly string[] {
    const open = this.#open.get(table.sql);
    if (!open || this.#role(table) !== 'arbiter') return [];
    const known = this.#contendedOf.get(table);
    if (known?.seen === seen) return known.keys;
    const keys = [...open]
      .filter(([, controls]) => controls.some((c) => isUnseen(c.xmin, seen, [], this.#progress.next)))
      .map(([text]) => keyString(keyOfText(table, text)));
    this.#contendedOf.set(table, { seen, keys });
    return keys;
  }
  readonly #contendedOf = new Map<ApplyTable, { readonly seen: Seen; readonly keys: readonly string[] }>();

  async #writeTable(
    decoded: DecodedChanges,
    net: NetTable,
    guard: readonly string[],
    transactions: readonly DecodedTransaction[],
    seenBy: SeenBy,
    executor: ExactExecutor,
  ): Promise<void> {
    const guarded = this.#role(net.table) !== 'alone';
    await this.#references.load(net.table);
    // Their keys are in the middle of a conflict: a plain statement would write over what is decided.
    const left = take(net.rows, this.#contended(net.table, seenBy[0]!));
    left.push(...take(net.rows, executor.controls.openKeys(net.table).map(keyString)));
    const copied = this.#copies && !this.#references.isChild(net.table) ? copyable(net) : undefined;
    if (copied) await copyRows(this.#session.client, net.table, decoded.bytes, copied);
    else
      for (const statement of planTable(decoded.bytes, net))
        for (const row of await this.#runSet(statement, guarded && statement.op !== 'insert' ? guard : []))
          left.push(row);
    if (left.length === 0) return;
    // Those that did not go as planned, in the order of their first change.
    const rows = [...new Set(left)].sort((a, b) => a.first - b.first);
    await executor.apply(
      rows.flatMap((row) => {
        const n = indexOfTransaction(transactions, row.first);
        const last = transactions[indexOfTransaction(transactions, row.last)]!;
        const source = this.#sourceOf(last, decoded.indexes[row.last]!);
        const first = positionIn(transactions[n]!, decoded.indexes[row.first]!);
        const { table } = net;
        return changesOf(decoded, table, row).map((change) => ({
          ...{ change, table, seen: seenBy[n]!, source, first },
        }));
      }),
    );
  }

  /** Runs one statement; gives the rows that did not go as planned. */
  async #runSet(s: SetStatement, guard: readonly string[]): Promise<NetRow[]> {
    const { client } = this.#session;
    const guarded = guard.length > 0;
    // Where some rows were in conflict lately more may be.
    const tells = guarded && s.op === 'update' && inConflict.has(s.table);
    const text = tells ? untouchedSql(s) : sqlOf(s, guarded);
    const result = await withConstraints(this.#session, s.table, () =>
      client.query({
        name: nameOf(text),
        text,
        values: [...s.parameters, ...guard, ...(tells ? [s.rows.length] : [])],
        rowMode: 'array',
        types: { getTypeParser: () => (value: string) => value },
      }),
    );
    this.#deferred?.addSet(s);
    this.#references.addSet(s);
    const numbers = (result.rows as unknown as string[][]).map(([n]) => Number(n));
    if (tells) {
      if (numbers.length === 0) inConflict.delete(s.table);
      return numbers.map((n) => s.rows[n - 1]!);
    }
    if (result.rowCount === s.rows.length) return [];
    if (s.op === 'delete') {
      const gone = new Set(numbers);
      return s.rows.filter((_, i) => !gone.has(i + 1));
    }
    if (s.op === 'update') inConflict.add(s.table);
    const found = await client.query<{ n: number }>(leftoverSql(s), [...s.parameters]);
    const rows = found.rows.map(({ n }) => s.rows[n - 1]!);
    if (rows.length !== s.rows.length - (result.rowCount ?? 0)) throw new NeedsExact();
    return rows;
  }

  /** What one change, at its place in source order, is for the decision code; nothing where it does not concern us. */
  async #changesAt(
    decoded: DecodedChanges,
    i: number,
    t: DecodedTransaction,
    seen: Seen,
  ): Promise<ExactChange[]> {
    const relation = decoded.relations[i]!;
    const source = this.#sourceOf(t, decoded.indexes[i]!);
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
    const table = this.#tables.get(relation)!;
    if (!this.#settings.wants(table, decoded.tags[i]!)) return [];
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

  #isTruncate(decoded: DecodedChanges, i: number): boolean {
    return decoded.tags[i] === tag.truncate && this.#tables.has(decoded.relations[i]!);
  }

  /** A TRUNCATE as one decision per row: it would fail on tables that foreign keys refer to, even in replica role. */
  async #truncate(
    decoded: DecodedChanges,
    i: number,
    t: DecodedTransaction,
    seen: Seen,
    executor: ExactExecutor,
  ): Promise<void> {
    const table = this.#tables.get(decoded.relations[i]!)!;
    if (!this.#settings.wants(table, tag.truncate)) return;
    if (this.#role(table) === 'alone') {
      await this.#session.client.query(/* sql */ `delete from ${table.target}`);
      return;
    }
    const source = this.#sourceOf(t, decoded.indexes[i]!);
    const clear = (keys: readonly Key[]) =>
      executor.apply(
        keys.map((key) => ({
          ...{ change: { op: 'truncate-row', key }, table, seen, source, first: source.position },
        })),
      );
    const done = new Set<string>();
    for (let after: Key | undefined; ; ) {
      const keys = await readKeys(this.#session, table, after, 10_000);
      for (const key of keys) done.add(keyText(key));
      await clear(keys);
      if (keys.length < 10_000) break;
      after = keys.at(-1);
    }
    const open = [...(this.#open.get(table.sql)?.keys() ?? [])].filter((text) => !done.has(text));
    await clear(open.map((text) => keyOfText(table, text)));
  }

  #sourceOf(t: DecodedTransaction, index: number): SourceFacts {
    return {
      position: positionIn(t, index),
      time: t.time,
      side: this.#settings.there,
    };
  }

  /** A control row's table, by its quoted name at the source; it may not have had a change in this process yet. */
  async #tableNamed(name: string): Promise<ApplyTable | undefined> {
    for (const table of this.#tables.values())
      if (qualified(table.source.schema, table.source.name) === name) return table;
    const table = await this.#session.tableNamed(name);
    if (table) await lockUnchecked(this.#session, table);
    return table;
  }
}

/** Tables with rows that an UPDATE has not touched lately. */
const inConflict = new WeakSet<ApplyTable>();

/** The position of a change of a transaction. */
const positionIn = (t: DecodedTransaction, index: number): string =>
  `${t.position.slice(0, 17)}${index.toString(16).toUpperCase().padStart(8, '0')}`;

const changeOf = ({ op, id, key, pullId }: ControlRow, row: Row | null): Change => {
  switch (op) {
    case 'pull':
      return { op: 'pull', key, id };
    case 'answer':
      return { op: 'answer', key, row, id: pullId ?? '' };
    case 'outcome':
      return { op: 'outcome', key, row, pull: pullId };
  }
};

/** The transaction that a change belongs to (binary search). */
function indexOfTransaction(transactions: readonly DecodedTransaction[], change: number): number {
  let low = 0;
  let high = transactions.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (transactions[middle]!.from <= change) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Takes the rows of some keys out. */
function take(rows: Map<string, NetRow>, keys: readonly string[]): NetRow[] {
  return keys.flatMap((key) => {
    const row = rows.get(key);
    rows.delete(key);
    return row ?? [];
  });
}

/** The key that `keyText` made a string of. */
const keyOfText = (table: ApplyTable, text: string): Key =>
  table.key.length === 1 ? [text] : (JSON.parse(text) as string[]);

/** A net row (or an original change) as the decision code takes it. */
function changesOf(decoded: DecodedChanges, table: ApplyTable, row: NetRow): Change[] {
  const { bytes, oldAt } = decoded;
  const values = (refs: readonly number[]) => refs.map((ref) => valueAt(bytes, ref));
  const oldRef = oldAt[row.first]!;
  const old = oldRef > 0 ? values(refsOf(bytes, oldRef)) : null;
  const { refs } = row;
  const isUpdate = row.op === 'update' && oldRef !== 0;
  const keyed = !refs && isUpdate ? withKeyOf(bytes, row.at, Math.abs(oldRef), table.key) : refs;
  const now = values(keyed ?? refsOf(bytes, row.at));
  const keyFrom = (from: readonly (string | null | undefined)[]) => table.key.map((k) => from[k] ?? '');
  if (row.op === 'delete') return [{ op: 'delete', key: keyFrom(now), old }];
  if (row.op === 'insert') return [{ op: 'insert', key: keyFrom(now), row: now }];
  if (row.op === 'replace')
    return [
      { op: 'delete', key: keyFrom(values(refsOf(bytes, row.deleteAt))), old },
      { op: 'insert', key: keyFrom(now), row: now },
    ];
  const key = oldRef === 0 ? keyFrom(now) : keyFrom(values(refsOf(bytes, Math.abs(oldRef))));
  const to = keyFrom(now);
  if (key.every((part, i) => part === to[i])) return [{ op: 'update', key, row: now, old }];
  return [{ op: 'move', key, to, row: now, old }];
}

/** Seen states of the transactions of a batch: the header's, then what the records add. */
export function seenStates(start: Seen, transactions: readonly DecodedTransaction[]): Seen[] {
  let seen = start;
  return transactions.map((t) => {
    for (const text of t.seen) seen = unionSeen(seen, parseSeen(text));
    return seen;
  });
}
