import { PgtwinError } from '../errors/pgtwin-error.ts';
import {
  checkTuple,
  mark,
  type Relation,
  readBegin,
  readCommit,
  readRelation,
  readTruncate,
  tag,
  u32,
  unixMicros,
} from '../postgres/pgoutput.ts';
import { recordTag } from './message.ts';
import { endOfTransaction, type Position } from './position.ts';

/** A source transaction of a message. */
export type DecodedTransaction = {
  readonly position: Position;
  readonly commitLsn: bigint;
  endLsn: bigint;
  /** Commit time at the source, microseconds since 1970. */
  readonly time: bigint;
  readonly xid: number;
  /** What its author had seen of the destination: texts that hold from here on, in addition to the header's. */
  readonly seen: readonly string[];
  /** Its row changes are those from `from` up to `to` in the arrays of `DecodedChanges`. */
  readonly from: number;
  to: number;
};

/** Row changes as arrays beside each other: no object per row. Offsets point into `bytes`. */
export type DecodedChanges = {
  bytes: Buffer;
  readonly tags: number[];
  readonly relations: Relation[];
  /** Offset of the new tuple (its column count), 0 if there is none. */
  readonly newAt: number[];
  /** Offset of the old tuple, 0 if there is none; negative if it holds the key columns only. */
  readonly oldAt: number[];
  /** Index in its transaction. */
  readonly indexes: number[];
  readonly transactions: DecodedTransaction[];
};

/** Decodes the records of one message; parts of one large transaction are taken one behind the other. */
export class RecordDecoder {
  readonly #relations = new Map<number, Relation>();
  #seen: string[] = [];
  #open: DecodedTransaction | undefined;
  #index = 0;
  /** Of the open transaction: the number of the next part, and by part what was rolled back in it. */
  #part = 0;
  readonly #aborted = new Map<number, number[]>();

  /** Throws `message-malformed` on anything that is not a record. */
  decode(bytes: Buffer): DecodedChanges {
    const out = emptyChanges(bytes);
    this.decodeInto(out, 0, bytes.length);
    return out;
  }

  /** Decodes the records at `from` up to `to` of the bytes of `out`, and appends them. */
  decodeInto(out: DecodedChanges, from: number, to: number): void {
    if (this.#open) {
      // The rest of a transaction whose start was in an earlier part.
      this.#open = { ...this.#open, from: out.tags.length, to: out.tags.length };
      out.transactions.push(this.#open);
    }
    try {
      this.#records(out, from, to);
    } catch (error) {
      if (error instanceof PgtwinError && error.code === 'message-malformed') throw error;
      throw new PgtwinError(
        'message-malformed',
        { detail: 'The records of a message are malformed.' },
        { cause: error },
      );
    }
    if (this.#open) this.#open.to = out.tags.length;
  }

  /** True between the parts of a transaction. */
  get isOpen(): boolean {
    return this.#open !== undefined;
  }

  #records(out: DecodedChanges, from: number, to: number): void {
    const b = out.bytes;
    const aborted = this.#aborted.get(this.#part++) ?? [];
    let next = 0;
    let at = from;
    while (at < to) {
      if (at - from === aborted[next]) {
        at = from + aborted[next + 1]!;
        next += 2;
        if (!(at <= to)) throw new PgtwinError('message-malformed', { detail: 'A part is cut off.' });
        continue;
      }
      const start = at + 4;
      const end = start + u32(b, at);
      if (!(end <= to) || end <= start)
        throw new PgtwinError('message-malformed', { detail: 'A record is longer than its message.' });
      this.#record(b, start, end, out);
      at = end;
    }
    if (next < aborted.length)
      throw new PgtwinError('message-malformed', {
        detail: 'What was rolled back is not where it should be.',
      });
  }

  #record(b: Buffer, start: number, end: number, out: DecodedChanges): void {
    switch (b[start]) {
      case tag.insert:
      case tag.update:
      case tag.delete:
        return this.#row(b, start, end, out);
      case tag.truncate:
        for (const oid of readTruncate(b, start, end).relations) {
          const relation = this.#relations.get(oid);
          if (relation) this.#change(out, tag.truncate, relation, 0, 0, false);
        }
        this.#index += 1;
        return;
      case tag.begin:
        return this.#begin(b, start, end, out);
      case tag.commit:
        return this.#commit(b, start, end, out);
      case tag.relation: {
        const relation = readRelation(b, start, end);
        this.#relations.set(relation.oid, relation);
        return;
      }
      case recordTag.seen:
        this.#seen.push(b.latin1Slice(start + 1, end));
        return;
      case recordTag.aborted:
        return this.#aborts(b, start, end);
      case recordTag.skipped:
        if (end - start !== 5)
          throw new PgtwinError('message-malformed', { detail: 'A count of changes has not its length.' });
        this.#index += u32(b, start + 1);
        return;
      default:
        throw new PgtwinError('message-malformed', { detail: `A record has the unknown tag ${b[start]}.` });
    }
  }

  /** Insert, Update and Delete: one or two tuples, checked here once and for all. */
  #row(b: Buffer, start: number, end: number, out: DecodedChanges): void {
    const relation = this.#relationAt(b, start);
    const columns = relation.columns.length;
    const kind = b[start]!;
    let at = start + 5;
    let oldAt = 0;
    if (kind !== tag.insert && (b[at] === mark.keyTuple || b[at] === mark.oldTuple)) {
      oldAt = b[at] === mark.keyTuple ? -(at + 1) : at + 1;
      at = checkTuple(b, at + 1, end, columns);
    }
    let newAt = 0;
    if (kind !== tag.delete && b[at] === mark.newTuple) {
      newAt = at + 1;
      at = checkTuple(b, newAt, end, columns);
    }
    if (at !== end || (kind === tag.delete ? oldAt : newAt) === 0)
      throw new PgtwinError('message-malformed', { detail: 'A row change has not its tuples.' });
    this.#change(out, kind, relation, newAt, oldAt);
  }

  #relationAt(b: Buffer, start: number): Relation {
    const relation = this.#relations.get(u32(b, start + 1));
    if (!relation)
      throw new PgtwinError('message-malformed', {
        detail: `Relation ${u32(b, start + 1)} is not defined in its message.`,
      });
    return relation;
  }

  #change(
    out: DecodedChanges,
    kind: number,
    relation: Relation,
    newAt: number,
    oldAt: number,
    counts = true,
  ): void {
    if (!this.#open)
      throw new PgtwinError('message-malformed', { detail: 'A change outside of a transaction.' });
    out.tags.push(kind);
    out.relations.push(relation);
    out.newAt.push(newAt);
    out.oldAt.push(oldAt);
    out.indexes.push(this.#index);
    if (counts) this.#index += 1;
  }

  /** Ranges in order of their parts and offsets, each 12 bytes. */
  #aborts(b: Buffer, start: number, end: number): void {
    if ((end - start) % 12 !== 1)
      throw new PgtwinError('message-malformed', {
        detail: 'A list of what was rolled back has not its length.',
      });
    for (let at = start + 1; at < end; at += 12) {
      const [part, from, to] = [u32(b, at), u32(b, at + 4), u32(b, at + 8)];
      const ranges = this.#aborted.get(part);
      if (part < this.#part || to <= from || from < (ranges?.at(-1) ?? 0))
        throw new PgtwinError('message-malformed', { detail: 'What was rolled back is not in order.' });
      if (ranges) ranges.push(from, to);
      else this.#aborted.set(part, [from, to]);
    }
  }

  #begin(b: Buffer, start: number, end: number, out: DecodedChanges): void {
    if (this.#open) throw new PgtwinError('message-malformed', { detail: 'A transaction inside another.' });
    const { commitLsn, time, xid } = readBegin(b, start, end);
    this.#open = {
      position: endOfTransaction(commitLsn),
      commitLsn,
      endLsn: 0n,
      time: unixMicros(time),
      xid,
      seen: this.#seen,
      from: out.tags.length,
      to: out.tags.length,
    };
    this.#seen = [];
    this.#index = 0;
    this.#part = 1;
    this.#aborted.clear();
    out.transactions.push(this.#open);
  }

  #commit(b: Buffer, start: number, end: number, out: DecodedChanges): void {
    if (!this.#open)
      throw new PgtwinError('message-malformed', { detail: 'A commit outside of a transaction.' });
    this.#open.to = out.tags.length;
    this.#open.endLsn = readCommit(b, start, end).endLsn;
    this.#open = undefined;
  }
}

const emptyChanges = (bytes: Buffer): DecodedChanges => ({
  bytes,
  tags: [],
  relations: [],
  newAt: [],
  oldAt: [],
  indexes: [],
  transactions: [],
});

/** Decodes the records of several whole messages as one, their bytes behind each other; tells whose is what. */
export function decodeTogether(records: readonly Buffer[]): {
  readonly decoded: DecodedChanges;
  /** The transactions of each message. */
  readonly transactions: readonly (readonly DecodedTransaction[])[];
} {
  const decoded = emptyChanges(records.length === 1 ? records[0]! : Buffer.concat(records));
  let at = 0;
  const transactions = records.map(({ length }) => {
    const first = decoded.transactions.length;
    // Each message defines the relations that it uses.
    new RecordDecoder().decodeInto(decoded, at, at + length);
    at += length;
    return decoded.transactions.slice(first);
  });
  return { decoded, transactions };
}
