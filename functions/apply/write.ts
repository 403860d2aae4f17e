import { type Seen, widenXid, withFloor, withTransactions } from '../../shared/conflict/seen.ts';
import { addXids, type XidRanges } from '../../shared/conflict/xid-ranges.ts';
import { type Relation, valueAt } from '../../shared/postgres/pgoutput.ts';
import type { DecodedChanges, DecodedTransaction } from '../../shared/stream/decode.ts';
import { lsnText } from '../../shared/stream/position.ts';
import { advanceOthers, type OtherShard } from './all-shards.ts';
import type { ApplySettings, Batch, Mode } from './apply-settings.ts';
import { logConflicts, pruneLog } from './conflict-log.ts';
import type { OpenControls } from './control-book.ts';
import { readOpenControls } from './control-rows.ts';
import { onlyInserts } from './copy-rows.ts';
import { DeferredUniques, lockUnchecked } from './deferrable.ts';
import { ExactExecutor, type LoggedConflict, type Role } from './exact.ts';
import { refsOf } from './net-change.ts';
import { advanceProgress, type Progress } from './progress.ts';
import { cleanControls, cleaningIsDue, writeControls } from './record.ts';
import { ReferenceChecks } from './references.ts';
import type { RowCopy } from './row-copy.ts';
import { NeedsExact } from './row-sets.ts';
import type { Session } from './session.ts';
import { SetWriter } from './set-writer.ts';
import { SingleChanges } from './single-changes.ts';
import type { ApplyTable } from './tables.ts';
import { pruneTombstones } from './tombstones.ts';

const setupSql = /* sql */ `select pg_replication_origin_session_setup($1)`;
const resetSql = /* sql */ `select pg_replication_origin_session_reset()`;

/**
 * The rows of one destination transaction. The order is that of design, section 4: the progress row is locked and
 * advanced first, then an origin marks the user's rows, then control rows and the conflict log without it, commit.
 */
export class BatchWriter {
  readonly #session: Session;
  readonly #settings: ApplySettings;
  readonly #progress: Progress;
  /** Of a transaction that concerns several shards: the others. */
  readonly #others: readonly OtherShard[];
  #own: XidRanges = [];
  readonly #published: boolean;
  #open: OpenControls = new Map();
  #executor: ExactExecutor | undefined;
  /** Left open between the parts of a transaction, with the relation whose rows go into it. */
  #copy: { readonly copy: RowCopy; readonly relation: Relation } | undefined;
  #deferred: DeferredUniques | undefined;
  readonly #references: ReferenceChecks;
  #mode: Mode = 'sets';
  #seen: Seen;
  #tables = new Map<Relation, ApplyTable>();
  #userChanges = 0;

  constructor(
    session: Session,
    settings: ApplySettings,
    progress: Progress,
    others: readonly OtherShard[] = [],
  ) {
    this.#session = session;
    this.#others = others;
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

  /** Below it the author of what comes next in this shard knows all that this side wrote. */
  #shardFloor(seen: Seen): bigint {
    const { ownFloor } = this.#progress;
    return ownFloor > seen.floor ? ownFloor : seen.floor;
  }

  /** The same in all shards: what lies below may be forgotten. */
  #floorOfAll(seen: Seen): bigint {
    const [floor, { othersFloor }] = [this.#shardFloor(seen), this.#progress];
    return othersFloor !== undefined && othersFloor < floor ? othersFloor : floor;
  }

  get conflicts(): readonly LoggedConflict[] {
    return this.#executor?.conflicts ?? [];
  }

  #role(table: ApplyTable): Role {
    return this.#published ? this.#settings.role(table) : 'alone';
  }

  /** Row changes of users and control rows; heartbeats only move the floor. */
  advance(batch: {
    decoded: DecodedChanges;
    transactions: readonly DecodedTransaction[];
    generation: number;
    epoch: number;
    /** What the newest author had seen. */
    seen: Seen;
    /** Of a transaction in parts, whose commit is not read yet: from the message's header. */
    whole?: { endLsn: string; changes: number };
  }): void {
    const { decoded, transactions } = batch;
    this.#note(decoded, transactions);
    const last = transactions.at(-1)!;
    if (batch.whole) this.#userChanges = batch.whole.changes;
    const endLsn = batch.whole?.endLsn ?? lsnText(last.endLsn);
    advanceProgress(this.#session, {
      generation: batch.generation,
      epoch: batch.epoch,
      position: last.position,
      endLsn,
      sourceTime: last.time,
      seen: this.#seen,
      xid: this.#userChanges > 0 ? this.#progress.xid : undefined,
      own: this.#progress.own,
      ownFloor: this.#shardFloor(batch.seen),
      transactions: transactions.length,
      changes: this.#userChanges,
    });
    advanceOthers(this.#session, this.#others, {
      ...{ epoch: batch.epoch, position: last.position, time: last.time, sourceXid: last.xid },
      ...{ endLsn, xid: this.#progress.xid },
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

  /** Writes the rows; `more` of the same transaction follow. */
  async write(batch: Batch, mode: Mode, more = false): Promise<void> {
    const { client, sent, origin } = this.#session;
    if (await this.#copyOn(batch)) return;
    await this.#prepareTables(batch);
    const executor = await this.#exact(mode);
    if (mode === 'exact' && [...this.#tables.values()].some((table) => table.deferrable.length > 0))
      sent.add(client.query(/* sql */ `set constraints all deferred`));
    if (origin) sent.add(client.query(setupSql, [origin]));
    const writing = {
      ...{ session: this.#session, settings: this.#settings, role: (table: ApplyTable) => this.#role(table) },
      ...{ executor, open: this.#open, tables: this.#tables },
    };
    if (mode === 'sets' || mode === 'copy') {
      const setWriting = {
        ...writing,
        ...{ references: this.#references, deferred: this.#deferred, own: this.#own },
        // Rows that are given another shape may ask the server for it.
        ...{ leavesOpen: more && this.#settings.shapeOf === undefined },
        ...{ next: this.#progress.next, copies: mode === 'copy' },
      };
      const copy = await new SetWriter(setWriting, batch).write();
      if (copy) {
        this.#copy = { copy, relation: batch.decoded.relations[batch.transactions[0]!.from]! };
        return;
      }
    } else await new SingleChanges(writing, batch).write();
    await this.#written();
  }

  /** The COPY that was left open goes on, if all changes are further rows of its table; else it is ended. */
  async #copyOn({ decoded, transactions }: Batch): Promise<boolean> {
    if (!this.#copy) return false;
    const { copy, relation } = this.#copy;
    const inserts = onlyInserts(decoded, transactions, (each) =>
      each === relation ? copy.table : undefined,
    );
    const rows = inserts?.get(copy.table);
    if (rows) await copy.add(decoded.bytes, rows, rows.length);
    else await this.#endCopy();
    return rows !== undefined;
  }

  async #endCopy(): Promise<void> {
    const open = this.#copy;
    if (!open) return;
    this.#copy = undefined;
    await open.copy.end();
    await this.#written();
  }

  /** Nothing may be sent any more but ROLLBACK. */
  async abandon(): Promise<void> {
    await this.#copy?.copy.abandon();
    this.#copy = undefined;
  }

  async #written(): Promise<void> {
    const { client, sent, origin } = this.#session;
    if (this.#mode === 'sets' || this.#mode === 'copy') await this.#references.lighten();
    // After a failure no statement is taken any more: the session's origin is then reset behind the ROLLBACK.
    if (origin) sent.add(client.query(resetSql));
  }

  /** Control rows, conflict log, cleaning, by what the newest author had seen; then the caller commits. */
  async finish(seen: Seen): Promise<void> {
    await this.#endCopy();
    const ownFloor = this.#floorOfAll(seen);
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
    const { client, origin, sent } = this.#session;
    if (origin) sent.add(client.query(setupSql, [origin]));
    await this.#references.settle((exact) => executor.apply([exact]));
    if (origin) sent.add(client.query(resetSql));
  }

  async #exact(mode: Mode): Promise<ExactExecutor> {
    if (this.#executor) return this.#executor;
    this.#mode = mode;
    this.#deferred = mode === 'strict' ? undefined : new DeferredUniques(this.#session);
    const { opposite, here, there, settings, choice } = this.#settings;
    if (this.#published) {
      const { client, ownXids } = this.#session;
      this.#open = await readOpenControls(client, opposite);
      const own = await ownXids.current(client, this.#progress.own, this.#others.length > 0);
      this.#own = addXids(own, [this.#progress.xid]);
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

  async #prepareTables({ decoded, transactions }: Batch): Promise<void> {
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
}
