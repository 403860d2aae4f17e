import { readTruncate, tag, u32 } from '../../shared/postgres/pgoutput.ts';
import { RecordBuffer, type Span } from '../../shared/stream/builder.ts';
import { limits } from '../../shared/stream/limits.ts';
import { recordTag } from '../../shared/stream/message.ts';
import type { Position } from '../../shared/stream/position.ts';
import type { KnownRelation, Relations } from './relations.ts';

/** What this side has seen of the other in a shard, as far as the reader needs it; `SeenTracker` fits. */
export interface SeenState {
  add(text: string): void;
  toText(): string;
  readonly time: bigint;
}

/** A message that is ready: valid until the next change. */
export type Sealed = { readonly span: Span; readonly seen: string };
export type TakeSealed = (records: Buffer, sealed: Sealed) => void;

/** A change of the open transaction, taken back: its index there, and the definitions that it needs in front of it. */
export type OpenChange = {
  readonly index: number;
  readonly definitions: readonly Buffer[];
  readonly change: Buffer;
};

/**
 * What is to be sent in one shard: the message under construction, of whole transactions, and behind them the changes
 * of the open one. Bytes are copied behind each other, no object per row.
 */
export class ShardRecords {
  readonly records = new RecordBuffer();
  readonly seen: Pick<SeenState, 'toText'>;
  readonly #relations: Relations;
  /** Transactions up to here are applied already and not sent again. */
  readonly #skipUpTo: Position;
  /** Relations defined in the message under construction, and those of them that the open transaction defined. */
  readonly #defined = new Set<number>();
  readonly #definedHere = new Set<number>();
  /** Definitions replaced within the open transaction: earlier rows of it were written under these. */
  readonly #replaced = new Map<number, Buffer>();
  /** Seen text that came in since the last kept transaction. */
  #seenAdded: string[] = [];
  #seenAtStart: string;
  #span: Span | undefined;

  #skip = false;
  #begun = false;
  /** Index that follows the last change of the open transaction in here. */
  #next = 0;
  #changes = 0;
  /** Of the open transaction's changes those that left in parts. */
  #changesCut = 0;
  /** What apply had counted here when its progress row was last met. */
  progressChanges = '';
  /** Where the newest kept transaction begins in the buffer. */
  transactionStart = 0;

  constructor(options: { relations: Relations; seen: Pick<SeenState, 'toText'>; skipUpTo: Position }) {
    this.seen = options.seen;
    this.#relations = options.relations;
    this.#skipUpTo = options.skipUpTo;
    this.#seenAtStart = options.seen.toText();
  }

  /** Kept, complete transactions in the buffer. */
  get transactions(): number {
    return this.#span?.transactions ?? 0;
  }

  /** Changes of the kept, complete transactions in the buffer. */
  get changes(): number {
    return this.#span?.changes ?? 0;
  }

  /** A transaction begins. */
  begin(position: Position): void {
    this.#skip = position <= this.#skipUpTo;
    this.#begun = false;
    this.#next = 0;
    this.#changes = 0;
    this.#changesCut = 0;
    this.#definedHere.clear();
  }

  /** What was seen by the transactions from here on. */
  noteSeen(text: string): void {
    this.#seenAdded.push(text);
  }

  /** A relation has got another definition, in front of the rows that need it. */
  redefined(oid: number, former: KnownRelation | undefined): void {
    if (this.#defined.delete(oid) && this.#begun && former && !this.#replaced.has(oid))
      this.#replaced.set(oid, former.bytes);
  }

  /**
   * Takes the change with this index of the open transaction, of one relation (a truncate: of all of these). True: as
   * much of the transaction is here as a part holds.
   */
  append(
    known: KnownRelation,
    b: Buffer,
    start: number,
    end: number,
    index: number,
    begin: Buffer,
    all?: readonly KnownRelation[],
  ): boolean {
    if (this.#skip) return false;
    if (!this.#begun) this.#appendBegin(begin);
    this.#define(known);
    if (all) for (const each of all) this.#define(each);
    return this.#appendRecord(b, start, end, index);
  }

  /** The same for one that was taken back elsewhere. */
  appendOpen({ index, definitions, change }: OpenChange, begin: Buffer): boolean {
    if (this.#skip) return false;
    if (!this.#begun) this.#appendBegin(begin);
    for (const each of definitions) this.records.append(each, 0, each.length);
    return this.#appendRecord(change, 0, change.length, index);
  }

  /** Takes back the changes of the open transaction: it leaves in another way. */
  takeOpen(): OpenChange[] {
    if (!this.#begun) return [];
    this.#begun = false;
    const tail = this.records.cut(this.transactionStart);
    for (const oid of this.#definedHere) this.#defined.delete(oid);
    const changes: OpenChange[] = [];
    const known = new Set<number>();
    let definitions: Buffer[] = [];
    let index = 0;
    for (let at = 0; at < tail.length; ) {
      const start = at + 4;
      at = start + u32(tail, at);
      const record = tail.subarray(start, at);
      if (record[0] === tag.begin) continue;
      if (record[0] === recordTag.skipped) index += u32(record, 1);
      else if (record[0] === tag.relation) {
        known.add(u32(record, 1));
        definitions.push(record);
      } else {
        const isTruncate = record[0] === tag.truncate;
        const oids = isTruncate ? readTruncate(record, 0, record.length).relations : [u32(record, 1)];
        for (const oid of oids.filter((each) => !known.has(each))) {
          known.add(oid);
          // Defined in front of this transaction, in the message that goes without it.
          const bytes = this.#replaced.get(oid) ?? this.#relations.get(oid)?.bytes;
          if (bytes) definitions.push(bytes);
        }
        changes.push({ index, definitions, change: record });
        definitions = [];
        index += 1;
      }
    }
    return changes;
  }

  /** The open transaction ends; true if something of it is kept. */
  commit(b: Buffer, start: number, end: number, position: Position, endLsn: bigint): boolean {
    if (!this.#begun) return false;
    this.#begun = false;
    this.records.append(b, start, end);
    const span = this.#span;
    this.#span = {
      first: span?.first ?? position,
      last: position,
      endLsn,
      transactions: (span?.transactions ?? 0) + 1,
      changes: (span?.changes ?? 0) + this.#changes,
    };
    return true;
  }

  /** Hands over the message under construction (whole transactions only) and starts a new one. */
  seal(take: TakeSealed): void {
    take(this.records.view(), { span: this.#span!, seen: this.#seenAtStart });
    this.#span = undefined;
    this.records.clear();
    this.#defined.clear();
    this.transactionStart = 0;
  }

  /** The records of the open transaction so far, as one part of it; what follows goes into an empty buffer. */
  cutPart(take: (records: Buffer, changes: number) => void): void {
    take(this.records.view(), this.uncut);
    this.#changesCut = this.#changes;
    // Parts are decoded one behind the other, so relations stay defined.
    this.records.clear();
    this.transactionStart = 0;
  }

  /** Changes of the open (or just committed) transaction that did not leave in parts. */
  get uncut(): number {
    return this.#changes - this.#changesCut;
  }

  /**
   * Seals the complete transactions in front of the open one, which stays. Its relations are defined in the part
   * that leaves, so they are put in front of it again, as they were when it began.
   */
  sealComplete(take: TakeSealed): void {
    // Nothing of the open one is in the buffer (yet, or ever: one of our own): `transactionStart` is still that of
    // the last complete one, which has to leave.
    if (!this.#begun) return this.seal(take);
    const tail = this.records.cut(this.transactionStart);
    const span = this.#span!;
    const defined = new Map([...this.#defined].map((oid) => [oid, this.#relations.get(oid)!.bytes]));
    for (const [oid, bytes] of this.#replaced) defined.set(oid, bytes);
    take(this.records.view(), { span, seen: this.#seenAtStart });
    this.records.clear();
    for (const bytes of defined.values()) this.records.append(bytes, 0, bytes.length);
    this.transactionStart = this.records.length;
    this.records.appendRaw(tail);
    this.#span = undefined;
    // What the open transaction's author had seen: everything up to its begin.
    this.#seenAtStart = this.seen.toText();
  }

  #appendRecord(b: Buffer, start: number, end: number, index: number): boolean {
    // What lies between is of other shards, or left out: its indexes are used up.
    if (index > this.#next) this.records.appendSkipped(index - this.#next);
    this.#next = index + 1;
    this.records.append(b, start, end);
    this.#changes += 1;
    return this.records.length - this.transactionStart >= limits.partBytes;
  }

  #appendBegin(begin: Buffer): void {
    this.#begun = true;
    this.#replaced.clear();
    // What was seen before the first transaction of a message stands in its header; later additions stand in front
    // of the transaction that they count for. One state for a whole message would diverge (design, section 5).
    if (this.#span) for (const text of this.#seenAdded) this.records.appendSeen(text);
    else this.#seenAtStart = this.seen.toText();
    this.#seenAdded = [];
    this.transactionStart = this.records.length;
    this.records.append(begin, 0, begin.length);
  }

  #define(known: KnownRelation): void {
    const { oid } = known.relation;
    if (this.#defined.has(oid)) return;
    this.#defined.add(oid);
    this.#definedHere.add(oid);
    this.records.append(known.bytes, 0, known.bytes.length);
  }
}
