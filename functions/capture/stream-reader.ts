import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { pgMicros, readBegin, readCommit, tag, unixMicros } from '../../shared/postgres/pgoutput.ts';
import { RecordBuffer, type Span } from '../../shared/stream/builder.ts';
import { limits } from '../../shared/stream/limits.ts';
import type { Part } from '../../shared/stream/message.ts';
import { endOfTransaction, type Position, zeroPosition } from '../../shared/stream/position.ts';
import { type InProgress, InProgressTransactions, type StreamedCommit } from './in-progress.ts';
import { marksOwnWrite, type ProgressRow, readProgressRow } from './own-writes.ts';
import { type KnownRelation, Relations, relationAt, relationsOfTruncate } from './relations.ts';

/** What became of a message that was taken. */
export const took = {
  nothing: 0,
  dropped: 1,
  kept: 2,
  partFull: 3,
  /** A transaction in progress is to be stored in part. */
  streamFull: 4,
  /** One that was sent while it was in progress has committed: `sealStreamed`, behind all that is in the buffer. */
  streamed: 5,
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

/** What this side has seen of the other, as far as the reader needs it; conflict/seen.ts fits. */
export interface SeenState {
  add(text: string): void;
  toText(): string;
  /** Hybrid time of a transaction, from its commit time, both in microseconds since 1970. */
  timeOf(commit: bigint): bigint;
  readonly newest: string;
}

/**
 * Reads pgoutput messages of one connection and appends what is to be sent to a record buffer. Per row it looks at
 * the tag and the relation number and copies bytes. Decisions are made by its caller, at commits.
 */
export class StreamReader {
  readonly records = new RecordBuffer();
  readonly #relations = new Relations();
  readonly #seen: SeenState;
  /** Transactions up to here are applied already and not sent again. */
  readonly #skipUpTo: Position;
  /** Relations defined in the message under construction. */
  readonly #defined = new Set<number>();
  readonly #inProgress = new InProgressTransactions();
  #streamed: { transaction: InProgress; commit: StreamedCommit } | undefined;
  /** Definitions replaced within the open transaction: earlier rows of it were written under these. */
  readonly #replaced = new Map<number, Buffer>();
  /** Seen text that came in since the last kept transaction. */
  #seenAdded: string[] = [];
  #seenAtStart: string;
  #span: Span | undefined;

  #begin = Buffer.alloc(21);
  #inTransaction = false;
  #first = true;
  #own = false;
  #skip = false;
  #begun = false;
  #skipped = 0;
  #changes = 0;
  /** Of the open transaction's changes those that left in parts. */
  #changesCut = 0;
  #heartbeat = false;
  #progressChanges = '';

  /** LSN behind the newest commit met, kept or not. */
  endLsn = 0n;
  /** Where the newest kept transaction begins in the buffer. */
  transactionStart = 0;
  /** Changes of users, or applied ones, were met since the caller last looked: reason for a heartbeat. */
  activity = false;
  /** The last transaction that carries more than a heartbeat. */
  lastChanged: Position = zeroPosition;

  constructor(options: { seen: SeenState; skipUpTo: Position }) {
    this.#seen = options.seen;
    this.#skipUpTo = options.skipUpTo;
    this.#seenAtStart = options.seen.toText();
  }

  get inTransaction(): boolean {
    return this.#inTransaction;
  }

  /** Kept, complete transactions in the buffer. */
  get transactions(): number {
    return this.#span?.transactions ?? 0;
  }

  /** Changes of the kept, complete transactions in the buffer. */
  get changes(): number {
    return this.#span?.changes ?? 0;
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

  /** Hands over the message under construction (whole transactions only) and starts a new one. */
  seal(take: (records: Buffer, sealed: { span: Span; seen: string }) => void): void {
    take(this.records.view(), { span: this.#span!, seen: this.#seenAtStart });
    this.#span = undefined;
    this.records.clear();
    this.#defined.clear();
    this.transactionStart = 0;
  }

  /** The records of the open transaction so far, as one part of it; what follows goes into an empty buffer. */
  cutPart(take: (records: Buffer, changes: number) => void): void {
    take(this.records.view(), this.#changes - this.#changesCut);
    this.#changesCut = this.#changes;
    // Parts are decoded one behind the other, so relations stay defined.
    this.records.clear();
    this.transactionStart = 0;
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
    const time = this.#seen.timeOf(commit.time);
    if (changes === 0 || position <= this.#skipUpTo) return;
    if (!transaction.isHeartbeat) this.#changed(position);
    const span = { first: position, last: position, endLsn: commit.endLsn, transactions: 1, changes };
    const head = transaction.head(commit, time);
    take({ head, parts, records: records.view(), unstored, span, seen: this.#seen.toText() });
  }

  /**
   * Seals the complete transactions in front of the open one, which stays. Its relations are defined in the part
   * that leaves, so they are put in front of it again, as they were when it began.
   */
  sealComplete(take: (records: Buffer, sealed: { span: Span; seen: string }) => void): void {
    // Nothing of the open one is in the buffer (yet, or ever: one of our own): `transactionStart` is still that of
    // the last complete one, which has to leave.
    if (!this.#begun) return this.seal(take);
    const tail = this.records.cut(this.transactionStart);
    const span = this.#span!;
    const defined = new Map([...this.#defined].map((oid) => [oid, this.#relations.get(oid)!.bytes]));
    for (const [oid, bytes] of this.#replaced) defined.set(oid, bytes);
    take(this.records.view(), { span, seen: this.#seenAtStart });
    this.records.clear();
    this.#span = undefined;
    for (const bytes of defined.values()) this.records.append(bytes, 0, bytes.length);
    this.#seenAtStart = this.#seen.toText();
    this.transactionStart = this.records.length;
    this.records.appendRaw(tail);
  }

  /** The newest definition goes out in front of the next row that needs it. */
  #relation(b: Buffer, start: number, end: number): number {
    const former = this.#relations.of(b, start);
    const oid = this.#relations.define(b, start, end);
    if (this.#defined.delete(oid) && this.#begun && former && !this.#replaced.has(oid))
      this.#replaced.set(oid, former.bytes);
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
    this.#begun = false;
    this.#heartbeat = false;
    this.#skipped = 0;
    this.#changes = 0;
    this.#changesCut = 0;
    this.#skip = endOfTransaction(commitLsn) <= this.#skipUpTo;
    // The time that goes out is the hybrid one: a write after another, by way of either side, is never older.
    this.#begin.writeBigInt64BE(pgMicros(this.#seen.timeOf(unixMicros(time))), 9);
    return took.nothing;
  }

  #row(b: Buffer, start: number, end: number): number {
    const known = relationAt(this.#relations, b, start, end);
    if (known.kind === 'user') {
      this.#first = false;
      if (this.#own || this.#skip) {
        this.#skipped += 1;
        return took.nothing;
      }
      return this.#append(known, b, start, end);
    }
    return this.#helperRow(known, b, start, end);
  }

  #helperRow(known: KnownRelation, b: Buffer, start: number, end: number): number {
    const wasFirst = this.#first;
    this.#first = false;
    if (wasFirst && marksOwnWrite(known.kind, b[start]!)) {
      this.#own = true;
      if (known.kind === 'progress') this.#progress(known, b, start, end);
      else this.activity = true;
      return took.nothing;
    }
    if (this.#skip || b[start] === tag.delete) return took.nothing;
    if (known.kind === 'heartbeat' && !this.#own) {
      this.#heartbeat = true;
      return this.#append(known, b, start, end);
    }
    return known.kind === 'control' ? this.#append(known, b, start, end) : took.nothing;
  }

  #progress(known: KnownRelation, b: Buffer, start: number, end: number): void {
    this.#noteProgress(readProgressRow(b, start, end, known.relation));
  }

  #noteProgress({ seen, changes }: ProgressRow): void {
    // A heartbeat that was applied is no reason for one of ours: two idle sides must not talk for ever.
    if (changes !== this.#progressChanges) this.activity = true;
    this.#progressChanges = changes;
    if (seen === '') return;
    this.#seen.add(seen);
    this.#seenAdded.push(seen);
  }

  #truncate(b: Buffer, start: number, end: number): number {
    this.#first = false;
    if (this.#own || this.#skip) {
      this.#skipped += 1;
      return took.nothing;
    }
    const known = relationsOfTruncate(this.#relations, b, start);
    for (const each of known) this.#define(each);
    return this.#append(known.at(-1)!, b, start, end);
  }

  #append(known: KnownRelation, b: Buffer, start: number, end: number): number {
    if (!this.#begun) this.#appendBegin();
    this.#define(known);
    if (this.#skipped > 0) {
      this.records.appendSkipped(this.#skipped);
      this.#skipped = 0;
    }
    this.records.append(b, start, end);
    this.#changes += 1;
    return this.records.length - this.transactionStart >= limits.partBytes ? took.partFull : took.nothing;
  }

  #appendBegin(): void {
    this.#begun = true;
    this.#replaced.clear();
    // What was seen before the first transaction of a message stands in its header; later additions stand in front
    // of the transaction that they count for. One state for a whole message would diverge (design, section 5).
    if (this.#span) for (const text of this.#seenAdded) this.records.appendSeen(text);
    else this.#seenAtStart = this.#seen.toText();
    this.#seenAdded = [];
    this.transactionStart = this.records.length;
    this.records.append(this.#begin, 0, 21);
  }

  #define(known: KnownRelation): void {
    if (this.#defined.has(known.relation.oid)) return;
    this.#defined.add(known.relation.oid);
    this.records.append(known.bytes, 0, known.bytes.length);
  }

  #commitTransaction(b: Buffer, start: number, end: number): number {
    const { commitLsn, endLsn } = readCommit(b, start, end);
    this.#inTransaction = false;
    this.endLsn = endLsn;
    if (!this.#begun) return took.dropped;
    this.#begun = false;
    this.records.append(b, start, end);
    const position = endOfTransaction(commitLsn);
    if (!this.#heartbeat || this.#changes > 1) this.#changed(position);
    const span = this.#span;
    this.#span = {
      first: span?.first ?? position,
      last: position,
      endLsn,
      transactions: (span?.transactions ?? 0) + 1,
      changes: (span?.changes ?? 0) + this.#changes,
    };
    return took.kept;
  }

  #changed(position: Position): void {
    this.activity = true;
    this.lastChanged = position;
  }
}
