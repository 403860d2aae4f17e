import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { pgMicros, readBegin, readCommit, tag, unixMicros } from '../../shared/postgres/pgoutput.ts';
import type { Span } from '../../shared/stream/builder.ts';
import type { Part } from '../../shared/stream/message.ts';
import { endOfTransaction, lowest, type Position, zeroPosition } from '../../shared/stream/position.ts';
import { ALL_SHARDS, type Placing, shardOfChange } from '../../shared/task/placing.ts';
import { type InProgress, InProgressTransactions, type StreamedCommit } from './in-progress.ts';
import { marksOwnWrite, noteOnce, type ProgressRow, readProgressRow } from './own-writes.ts';
import {
  type KnownRelation,
  Relations,
  relationAt,
  relationsOfTruncate,
  shardOfControl,
} from './relations.ts';
import { type SeenState, ShardRecords } from './shard-records.ts';

/** What became of a message that was taken. */
export const took = {
  nothing: 0,
  dropped: 1,
  /** A transaction has committed: it is in the records of its shards. */
  kept: 2,
  /** The open transaction fills a part: of the only shard, or of `whole`. */
  partFull: 3,
  /** A transaction in progress is to be stored in part. */
  streamFull: 4,
  /** One that was sent while it was in progress has committed: `sealStreamed`, behind all that is in the buffers. */
  streamed: 5,
  /** One that concerns several shards has committed: it is in `whole`, and leaves behind all that is in the others. */
  whole: 6,
} as const;

/** A transaction that was sent while it was in progress, to leave as a message of its own. */
export type StreamedTransaction = {
  readonly head: Buffer;
  readonly parts: readonly Part[];
  /** What is not stored yet. */
  readonly records: Buffer;
  readonly unstored: number;
  readonly span: Span;
  readonly seen: string;
};

export type ReaderOptions = {
  /** By shard; `skipUpTo`: transactions up to here are applied already. */
  readonly shards: readonly { readonly seen: SeenState; readonly skipUpTo: Position }[];
  /** What was seen in all shards. */
  readonly seenInAll: Pick<SeenState, 'toText'>;
  readonly clock: { timeOf(commit: bigint, seen: bigint): bigint };
  readonly placing: Placing;
};

/**
 * Reads pgoutput messages of one connection and appends what is to be sent to the records of its shard. Per row it
 * looks at the tag and the relation number (and, where rows go by their keys, at the key), and copies bytes. Decisions
 * are made by its caller, at commits.
 */
export class StreamReader {
  readonly shards: readonly ShardRecords[];
  /** With several shards: a transaction that concerns more than one of them as a whole. */
  readonly whole: ShardRecords;
  readonly #seen: readonly SeenState[];
  readonly #seenInAll: Pick<SeenState, 'toText'>;
  readonly #clock: ReaderOptions['clock'];
  readonly #placing: Placing;
  readonly #relations: Relations;
  /** Up to here all shards have everything. */
  readonly #skipUpTo: Position;
  readonly #inProgress = new InProgressTransactions();
  #streamed: { transaction: InProgress; commit: StreamedCommit } | undefined;
  /** The newest hybrid time among what was seen. */
  #seenTime = 0n;

  #begin = Buffer.alloc(21);
  #inTransaction = false;
  #first = true;
  #own = false;
  #isWhole = false;
  /** Index of the next change of the open transaction. */
  #index = 0;
  #changes = 0;
  #heartbeat = false;
  #progress: ProgressRow[] = [];

  /** LSN behind the newest commit met, kept or not. */
  endLsn = 0n;
  /** Changes of users, or applied ones, were met since the caller last looked: reason for a heartbeat. */
  activity = false;
  /** The last transaction that carries more than a heartbeat. */
  lastChanged: Position = zeroPosition;

  constructor({ shards, seenInAll, clock, placing }: ReaderOptions) {
    this.#relations = new Relations(placing);
    const relations = this.#relations;
    this.shards = shards.map((shard) => new ShardRecords({ relations, ...shard }));
    this.#skipUpTo = lowest(shards.map(({ skipUpTo }) => skipUpTo));
    this.whole = new ShardRecords({ relations, seen: seenInAll, skipUpTo: this.#skipUpTo });
    this.#seen = shards.map(({ seen }) => seen);
    this.#seenInAll = seenInAll;
    this.#clock = clock;
    this.#placing = placing;
    for (const { time } of this.#seen) if (time > this.#seenTime) this.#seenTime = time;
  }

  get inTransaction(): boolean {
    return this.#inTransaction;
  }

  /** Takes one pgoutput message and says what the caller may have to do. */
  take(b: Buffer, start: number, end: number): number {
    if (this.#inProgress.inBlock && b[start] !== tag.streamStop)
      return this.#inProgress.take(b, start, end) ? took.streamFull : took.nothing;
    switch (b[start]) {
      case tag.insert:
      case tag.update:
      case tag.delete:
        return this.#row(b, start, end);
      case tag.begin:
        return this.#beginTransaction(b, start, end);
      case tag.commit:
        return this.#commitTransaction(b, start, end);
      case tag.relation:
        return this.#relation(b, start, end);
      case tag.truncate:
        return this.#truncate(b, start, end);
      case tag.streamStart:
        this.#inProgress.start(b, start);
        return took.nothing;
      case tag.streamStop:
        return this.#inProgress.stop() ? took.streamFull : took.nothing;
      case tag.streamCommit:
        this.#streamed = this.#inProgress.commit(b, start, end);
        return took.streamed;
      case tag.streamAbort:
        this.#inProgress.abort(b, start);
        return took.nothing;
      case tag.type:
      case tag.origin:
      case tag.message:
        return took.nothing;
      default:
        throw new PgtwinError('wal-message-malformed', { detail: `Unknown pgoutput message ${b[start]}.` });
    }
  }

  /** The records that the open transaction's part is to be cut from. */
  get filling(): ShardRecords {
    return this.#isWhole ? this.whole : this.shards[0]!;
  }

  /** Stores the largest transaction in progress in part. */
  cutStreamed(store: (records: Buffer, changes: number) => Part): void {
    this.#inProgress.largest?.cut(store);
  }

  /**
   * Hands over the transaction that has just committed, if it is to be sent. To be called when all before it has been
   * handed over: what was seen, and hybrid time, go on in the order of commits.
   */
  sealStreamed(take: (sealed: StreamedTransaction) => void): void {
    const { transaction, commit } = this.#streamed!;
    this.#streamed = undefined;
    const { records, relations, parts, own, progress, changes, unstored } = transaction;
    this.#relations.adopt(relations);
    for (const each of progress) this.#noteProgress(each);
    if (own && progress.length === 0) this.activity = true;
    this.endLsn = commit.endLsn;
    const position = endOfTransaction(commit.commitLsn);
    const time = this.#clock.timeOf(commit.time, this.#seenTime);
    if (changes === 0 || position <= this.#skipUpTo) return;
    if (!transaction.isHeartbeat) this.#changed(position);
    const span = { first: position, last: position, endLsn: commit.endLsn, transactions: 1, changes };
    const head = transaction.head(commit, time);
    take({ head, parts, records: records.view(), unstored, span, seen: this.#seenInAll.toText() });
  }

  /** The newest definition goes out in front of the next row that needs it. */
  #relation(b: Buffer, start: number, end: number): number {
    const former = this.#relations.of(b, start);
    const oid = this.#relations.define(b, start, end);
    for (const shard of this.shards) shard.redefined(oid, former);
    this.whole.redefined(oid, former);
    return took.nothing;
  }

  #beginTransaction(b: Buffer, start: number, end: number): number {
    if (this.#inTransaction)
      throw new PgtwinError('wal-message-malformed', { detail: 'A begin inside a transaction.' });
    const { commitLsn, time } = readBegin(b, start, end);
    b.copy(this.#begin, 0, start, start + 21);
    this.#inTransaction = true;
    this.#first = true;
    this.#own = false;
    this.#isWhole = false;
    this.#heartbeat = false;
    this.#index = 0;
    this.#changes = 0;
    this.#progress = [];
    const position = endOfTransaction(commitLsn);
    for (const shard of this.shards) shard.begin(position);
    // The time that goes out is the hybrid one: a write after another, by way of either side, is never older.
    const hybrid = this.#clock.timeOf(unixMicros(time), this.#seenTime);
    this.#begin.writeBigInt64BE(pgMicros(hybrid), 9);
    return took.nothing;
  }

  #row(b: Buffer, start: number, end: number): number {
    const known = relationAt(this.#relations, b, start, end);
    if (known.kind !== 'user') return this.#helperRow(known, b, start, end);
    this.#first = false;
    if (this.#own) {
      // Left out: its index is used up.
      this.#index += 1;
      return took.nothing;
    }
    const shard = shardOfChange(b, start, end, known.place, this.shards.length);
    return this.#append(shard, known, b, start, end);
  }

  #helperRow(known: KnownRelation, b: Buffer, start: number, end: number): number {
    const wasFirst = this.#first;
    this.#first = false;
    if ((wasFirst || this.#own) && marksOwnWrite(known.kind, b[start]!)) {
      this.#own = true;
      if (known.kind !== 'progress') this.activity = true;
      else {
        const row = readProgressRow(b, start, end, known.relation);
        if (noteOnce(this.#progress, row)) this.#noteProgress(row);
      }
      return took.nothing;
    }
    if (b[start] === tag.delete) return took.nothing;
    if (known.kind === 'heartbeat' && !this.#own) {
      this.#heartbeat = true;
      return this.#beatAll(known, b, start, end);
    }
    if (known.kind !== 'control') return took.nothing;
    const shard = this.shards.length === 1 ? 0 : shardOfControl(known, b, start, end, this.#placing);
    return this.#append(shard, known, b, start, end);
  }

  /** In every shard: it tells of what is lost, and its floor counts for all. */
  #beatAll(known: KnownRelation, b: Buffer, start: number, end: number): number {
    const index = this.#index++;
    this.#changes += 1;
    for (const shard of this.shards) shard.append(known, b, start, end, index, this.#begin);
    return took.nothing;
  }

  #noteProgress({ seen, changes, shard }: ProgressRow): void {
    const records = this.shards[shard];
    const state = this.#seen[shard];
    if (!records || !state) return;
    // A heartbeat that was applied is no reason for one of ours: two idle sides must not talk for ever.
    if (changes !== records.progressChanges) this.activity = true;
    records.progressChanges = changes;
    if (seen === '') return;
    state.add(seen);
    records.noteSeen(seen);
    if (state.time > this.#seenTime) this.#seenTime = state.time;
  }

  #truncate(b: Buffer, start: number, end: number): number {
    this.#first = false;
    if (this.#own) {
      this.#index += 1;
      return took.nothing;
    }
    const known = relationsOfTruncate(this.#relations, b, start);
    const [place] = known.map((each) => each.place);
    const one = typeof place === 'number' && known.every((each) => each.place === place);
    return this.#append(one ? place : ALL_SHARDS, known[0]!, b, start, end, known);
  }

  /** `all`: a truncate has several relations. */
  #append(
    shard: number,
    known: KnownRelation,
    b: Buffer,
    start: number,
    end: number,
    all?: readonly KnownRelation[],
  ): number {
    const index = this.#index++;
    this.#changes += 1;
    if (shard === ALL_SHARDS && !this.#isWhole) this.#becomeWhole();
    const records = this.#isWhole ? this.whole : this.shards[shard]!;
    if (!records.append(known, b, start, end, index, this.#begin, all)) return took.nothing;
    // One that is large goes as a whole, in parts.
    if (this.shards.length > 1 && !this.#isWhole) this.#becomeWhole();
    return took.partFull;
  }

  /** What the shards have of the open transaction leaves as a whole, in its order, with what follows. */
  #becomeWhole(): void {
    this.#isWhole = true;
    this.whole.begin(endOfTransaction(readBegin(this.#begin, 0, this.#begin.length).commitLsn));
    const taken = this.shards.flatMap((shard) => shard.takeOpen());
    taken.sort((one, other) => one.index - other.index);
    let last = -1;
    for (const change of taken) {
      // A heartbeat is in every shard.
      if (change.index !== last) this.whole.appendOpen(change, this.#begin);
      last = change.index;
    }
  }

  #commitTransaction(b: Buffer, start: number, end: number): number {
    const { commitLsn, endLsn } = readCommit(b, start, end);
    this.#inTransaction = false;
    this.endLsn = endLsn;
    const position = endOfTransaction(commitLsn);
    let kept = false;
    if (this.#isWhole) kept = this.whole.commit(b, start, end, position, endLsn);
    else for (const shard of this.shards) if (shard.commit(b, start, end, position, endLsn)) kept = true;
    if (!kept) return took.dropped;
    if (!this.#heartbeat || this.#changes > 1) this.#changed(position);
    return this.#isWhole ? took.whole : took.kept;
  }

  #changed(position: Position): void {
    this.activity = true;
    this.lastChanged = position;
  }
}
