import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { pgMicros, tag, u32, u64, unixMicros, writeBegin } from '../../shared/postgres/pgoutput.ts';
import { RecordBuffer } from '../../shared/stream/builder.ts';
import { limits } from '../../shared/stream/limits.ts';
import { type Part, recordTag } from '../../shared/stream/message.ts';
import { marksOwnWrite, noteOnce, type ProgressRow, readProgressRow } from './own-writes.ts';
import { type KnownRelation, Relations, relationAt, relationsOfTruncate } from './relations.ts';

/** What a streamed transaction says when it commits (manual, 53.9 Stream Commit). */
export type StreamedCommit = { readonly commitLsn: bigint; readonly endLsn: bigint; readonly time: bigint };

/**
 * A transaction whose changes the server sends before it commits, since they do not fit into its memory
 * (`logical_decoding_work_mem`). Its records are stored in parts while it goes on; what is known only at its commit
 * (position, time) stands in a small part before them, together with where rolled back subtransactions wrote: their
 * changes do not count for positions, since a transaction that is not streamed never shows them.
 */
export class InProgress {
  readonly xid: number;
  readonly records = new RecordBuffer();
  readonly relations = new Relations();
  readonly parts: Part[] = [];
  /** Sent by our own apply or copy. */
  own = false;
  /** What the progress row of our apply says, in the order met: counts only if the transaction commits. */
  readonly progress: ProgressRow[] = [];
  readonly #defined = new Set<number>();
  #first = true;
  #heartbeats = 0;
  /** Changes in `records`: not stored yet. */
  unstored = 0;
  /** Changes of the transaction itself, not of its subtransactions. */
  #changes = 0;
  #skipped = 0;
  #skippedBy = 0;
  /** What subtransactions wrote, in order, five numbers each: xid, part, first offset, offset behind, changes. */
  readonly #written: number[] = [];
  readonly #aborted = new Set<number>();

  constructor(xid: number) {
    this.xid = xid;
  }

  /** Takes a message of the (sub)transaction `xid`. */
  take(b: Buffer, start: number, end: number, xid: number): void {
    switch (b[start]) {
      case tag.insert:
      case tag.update:
      case tag.delete:
        return this.#row(b, start, end, xid);
      case tag.truncate:
        return this.#truncate(b, start, end, xid);
      case tag.relation: {
        // The newest definition goes out in front of the next row that needs it.
        this.#defined.delete(this.relations.define(b, start, end));
        return;
      }
      case tag.type:
      case tag.origin:
      case tag.message:
        return;
      default:
        throw outOfTurn('message');
    }
  }

  /** A subtransaction was rolled back. */
  abort(xid: number): void {
    this.#aborted.add(xid);
  }

  /** Hands over the records so far as one part; `store` says how it can be found. */
  cut(store: (records: Buffer, changes: number) => Part): void {
    this.parts.push(store(this.records.view(), this.unstored));
    this.records.clear();
    this.unstored = 0;
  }

  /** Changes that count. */
  get changes(): number {
    let sum = this.#changes;
    for (let i = 0; i < this.#written.length; i += 5)
      if (!this.#aborted.has(this.#written[i]!)) sum += this.#written[i + 4]!;
    return sum;
  }

  /** True if it holds nothing but a heartbeat. */
  get isHeartbeat(): boolean {
    return this.#heartbeats > 0 && this.changes === this.#heartbeats;
  }

  /** The part that comes first: the begin, with the hybrid time in microseconds since 1970, and what was rolled back. */
  head({ commitLsn }: StreamedCommit, time: bigint): Buffer {
    const head = new RecordBuffer();
    const begin = writeBegin({ commitLsn, time: pgMicros(time), xid: this.xid });
    head.append(begin, 0, begin.length);
    const gone: number[] = [];
    for (let i = 0; i < this.#written.length; i += 5)
      if (this.#aborted.has(this.#written[i]!)) gone.push(...this.#written.slice(i + 1, i + 4));
    if (gone.length > 0) {
      const record = Buffer.allocUnsafe(1 + 4 * gone.length);
      record[0] = recordTag.aborted;
      for (const [n, value] of gone.entries()) record.writeUInt32BE(value, 1 + 4 * n);
      head.append(record, 0, record.length);
    }
    return head.view();
  }

  #row(b: Buffer, start: number, end: number, xid: number): void {
    const known = relationAt(this.relations, b, start, end);
    const wasFirst = this.#first;
    this.#first = false;
    if (known.kind === 'user') {
      if (this.own) this.#skip(xid);
      else this.#append(known, b, start, end, xid);
      return;
    }
    if ((wasFirst || this.own) && marksOwnWrite(known.kind, b[start]!)) {
      this.own = true;
      if (known.kind === 'progress') noteOnce(this.progress, readProgressRow(b, start, end, known.relation));
      return;
    }
    if (b[start] === tag.delete) return;
    if (known.kind === 'heartbeat' && !this.own) {
      this.#heartbeats += 1;
      this.#append(known, b, start, end, xid);
    } else if (known.kind === 'control') this.#append(known, b, start, end, xid);
  }

  #truncate(b: Buffer, start: number, end: number, xid: number): void {
    this.#first = false;
    if (this.own) return this.#skip(xid);
    const known = relationsOfTruncate(this.relations, b, start);
    for (const each of known) this.#define(each);
    this.#append(known.at(-1)!, b, start, end, xid);
  }

  /** A change that is left out: its index is used up. */
  #skip(xid: number): void {
    if (this.#skippedBy !== xid) this.#flushSkipped();
    this.#skippedBy = xid;
    this.#skipped += 1;
  }

  #flushSkipped(): void {
    if (this.#skipped === 0) return;
    const from = this.records.length;
    this.records.appendSkipped(this.#skipped);
    this.#skipped = 0;
    this.#note(this.#skippedBy, from, 0);
  }

  #append(known: KnownRelation, b: Buffer, start: number, end: number, xid: number): void {
    this.#define(known);
    this.#flushSkipped();
    const from = this.records.length;
    this.records.append(b, start, end);
    this.unstored += 1;
    this.#note(xid, from, 1);
  }

  #define(known: KnownRelation): void {
    if (this.#defined.has(known.relation.oid)) return;
    this.#defined.add(known.relation.oid);
    this.records.append(known.bytes, 0, known.bytes.length);
  }

  /** Remembers who wrote the records from `from` on. */
  #note(xid: number, from: number, changes: number): void {
    if (xid === this.xid) {
      this.#changes += changes;
      return;
    }
    const [written, to, part] = [this.#written, this.records.length, this.parts.length + 1];
    const last = written.length - 5;
    if (written[last] === xid && written[last + 1] === part && written[last + 3] === from) {
      written[last + 3] = to;
      written[last + 4]! += changes;
    } else written.push(xid, part, from, to, changes);
  }
}

/** All transactions in progress of one connection, and the one whose messages come at the moment. */
export class InProgressTransactions {
  readonly #all = new Map<number, InProgress>();
  #current: InProgress | undefined;
  /** The transaction that shall be stored next. */
  largest: InProgress | undefined;

  /** Messages belong to a transaction in progress: between Stream Start and Stream Stop. */
  get inBlock(): boolean {
    return this.#current !== undefined;
  }

  /** Stream Start: xid, and whether it is the first block. */
  start(b: Buffer, at: number): void {
    const xid = u32(b, at + 1);
    if (this.#current) throw outOfTurn('start');
    const transaction = b[at + 5] === 1 ? new InProgress(xid) : this.#all.get(xid);
    if (!transaction) throw outOfTurn('start');
    this.#all.set(xid, transaction);
    this.#current = transaction;
  }

  /** True if `largest` shall be stored: buffers together have grown large. */
  stop(): boolean {
    if (!this.#current) throw outOfTurn('stop');
    this.#current = undefined;
    let bytes = 0;
    for (const each of this.#all.values()) {
      bytes += each.records.length;
      if (each.records.length >= (this.largest?.records.length ?? 0)) this.largest = each;
    }
    return bytes >= limits.inProgressBytes;
  }

  /** A message inside of a block: the same as outside, with the xid behind its tag. True if its buffer is full. */
  take(b: Buffer, start: number, end: number): boolean {
    const current = this.#current!;
    if (end < start + 5) throw outOfTurn('message');
    const xid = u32(b, start + 1);
    // The message without the xid: its tag moves up to its content.
    b[start + 4] = b[start]!;
    current.take(b, start + 4, end, xid);
    if (current.records.length < limits.partBytes) return false;
    this.largest = current;
    return true;
  }

  /** Stream Commit: the transaction leaves; `b` becomes the Commit message of one that is not streamed. */
  commit(b: Buffer, start: number, end: number): { transaction: InProgress; commit: StreamedCommit } {
    const transaction = this.#all.get(u32(b, start + 1));
    if (!transaction || this.#current || end !== start + 30) throw outOfTurn('commit');
    this.#forget(transaction);
    b[start + 4] = tag.commit;
    const commit = {
      commitLsn: u64(b, start + 6),
      endLsn: u64(b, start + 14),
      time: unixMicros(u64(b, start + 22)),
    };
    if (transaction.changes > 0) transaction.records.append(b, start + 4, end);
    return { transaction, commit };
  }

  /** Stream Abort: of the whole, or of a subtransaction. */
  abort(b: Buffer, start: number): void {
    const transaction = this.#all.get(u32(b, start + 1));
    const xid = u32(b, start + 5);
    if (this.#current) throw outOfTurn('abort');
    if (!transaction) return;
    if (xid === transaction.xid) this.#forget(transaction);
    else transaction.abort(xid);
  }

  #forget(transaction: InProgress): void {
    this.#all.delete(transaction.xid);
    if (this.largest === transaction) this.largest = undefined;
  }
}

const outOfTurn = (what: string): PgtwinError =>
  new PgtwinError('wal-message-malformed', { detail: `A streamed transaction's ${what} is out of turn.` });
