import { limits } from '../../shared/stream/limits.ts';
import type { MessageHeader, Part } from '../../shared/stream/message.ts';
import type { Position } from '../../shared/stream/position.ts';
import { Barriers } from './barriers.ts';
import type { Confirmable } from './confirm.ts';
import type { Confirmer } from './confirmer.ts';
import { type NewHeader, Outbox } from './outbox.ts';
import type { Sealed } from './shard-records.ts';
import { ShardSender } from './shard-sender.ts';
import type { StreamOptions } from './stream-options.ts';
import { type StreamReader, took } from './stream-reader.ts';

/** With so many messages not yet applied there is no hurry: what comes fills the next message, */
const UNAPPLIED_ENOUGH = 8;
/** (of several shards others are under way beside it) */
const UNAPPLIED_ENOUGH_OF_SHARD = 1;
/** but not for longer than this: they may be lost, and only a message behind them brings that to light. */
const FILL_MS = 500;
/** So long a transaction of several shards waits for the others before they are asked whether they miss something. */
const PROBE_MS = 2_000;

type DispatchOptions = StreamOptions & {
  readonly reader: StreamReader;
  readonly confirmer: Confirmer;
  /** Ends with the epoch. */
  readonly signal: AbortSignal;
  readonly failed: (error: unknown) => void;
  /** Something goes out. */
  readonly sending: () => void;
  /** A send is done. */
  readonly sent: () => void;
};

/**
 * Makes messages of what the reader has, and sends them: each shard by itself, in order. With several shards a
 * transaction that concerns more than one waits until all have applied what came before it, and what comes after it
 * waits until it is applied in all: what is sent in one shard has no order with another.
 */
export class Dispatch {
  readonly #o: DispatchOptions;
  readonly #senders: readonly ShardSender[];
  readonly #barriers = new Barriers();
  /** Stored parts of the open transaction, which is of the only shard or concerns several. */
  #parts: Part[] = [];
  /** Nothing but such transactions was sealed since the last one of them. */
  #wholeLast = false;
  #probedAt = 0;
  #probes = 0;
  bytesSent = 0;
  messagesSent = 0;

  constructor(options: DispatchOptions) {
    this.#o = options;
    const { task, generation, epoch, config, start } = options;
    const facts = { task, generation, epoch, config };
    this.#senders = options.reader.shards.map((records, n) => {
      const outbox = new Outbox({ ...options, sent: (header, bytes) => this.#sent(n, header, bytes) });
      return new ShardSender(n, { facts, records, outbox, start: start[n]! });
    });
    options.signal.addEventListener('abort', () => this.#barriers.end());
  }

  /** What became of a message that the reader has taken. */
  took(became: number): void {
    const { reader } = this.#o;
    switch (became) {
      case took.kept:
        if (this.#parts.length > 0) this.#sendFilled();
        for (const sender of this.#senders) if (this.#isFull(sender)) this.#seal(sender);
        break;
      case took.partFull:
        this.#cutPart();
        break;
      case took.streamFull:
        reader.cutStreamed((records, rows) => this.#first.outbox.storePart(this.#at, records, rows));
        break;
      case took.streamed:
        this.#sealAll();
        reader.sealStreamed((transaction) =>
          this.#sendOne(transaction, (header) => this.#first.outbox.addStreamed(header, transaction)),
        );
        break;
      case took.whole:
        this.#sealAll();
        this.#sendFilled();
        break;
      default:
    }
  }

  /** The socket is read empty: while the reader or a send is behind fill the message, else it leaves now. */
  sealWhenIdle(): void {
    const enough = this.#senders.length > 1 ? UNAPPLIED_ENOUGH_OF_SHARD : UNAPPLIED_ENOUGH;
    for (const sender of this.#senders) {
      const { records, outbox, number } = sender;
      if (records.transactions === 0 || outbox.waiting > 0) continue;
      const filling = performance.now() - sender.postedAt < FILL_MS;
      if (filling && this.#o.confirmer.size(number) >= enough) continue;
      if (this.#o.reader.inTransaction) this.#sealComplete(sender);
      else this.#seal(sender);
    }
  }

  /** So much waits to be sent that nothing more should be read. */
  get isLoaded(): boolean {
    return this.#senders.some(({ outbox }) => outbox.waiting >= limits.outboxMessages);
  }

  /** Everything that was read has been applied (or was not for sending): WAL up to here may go as well. */
  get nothingOutstanding(): boolean {
    return this.#senders.every((sender) => this.#isIdle(sender));
  }

  /** What may be confirmed in a shard because nothing is outstanding there; `read` is what has been read. */
  idleAt(shard: number, read: bigint): Confirmable | undefined {
    const sender = this.#senders[shard]!;
    if (!this.#isIdle(sender)) return undefined;
    return { lsn: read, position: sender.previous, ...this.#seenAt(shard) };
  }

  /** Takes the watermarks, by shard. */
  reached(watermarks: readonly Position[]): void {
    this.#barriers.reached(watermarks);
    this.#probe();
  }

  #isIdle({ number, outbox, records }: ShardSender): boolean {
    return (
      this.#o.confirmer.isIdle(number) &&
      outbox.waiting === 0 &&
      records.transactions === 0 &&
      !this.#o.reader.inTransaction
    );
  }

  /** The first shard: the only one, or the one in whose group transactions of several shards are. */
  get #first(): ShardSender {
    return this.#senders[0]!;
  }

  /** Of stored parts. */
  get #at(): Pick<MessageHeader, 'task' | 'generation' | 'epoch' | 'shard'> {
    const { task, generation, epoch } = this.#o;
    return { task, generation, epoch, shard: 0 };
  }

  #cutPart(): void {
    const { filling } = this.#o.reader;
    if (filling.transactions > 0) this.#sealComplete(this.#first);
    if (filling.records.length < limits.partBytes) return;
    filling.cutPart((records, rows) =>
      this.#parts.push(this.#first.outbox.storePart(this.#at, records, rows)),
    );
  }

  #isFull({ records }: ShardSender): boolean {
    const { length } = records.records;
    if (length >= limits.sealBytes) return true;
    return records.transactions > 0 && this.#o.pace?.isEnough(records.changes, length) === true;
  }

  #sealAll(): void {
    for (const sender of this.#senders) if (sender.records.transactions > 0) this.#seal(sender);
  }

  #seal(sender: ShardSender): void {
    sender.records.seal((records, sealed) => this.#post(sender, records, sealed));
  }

  #sealComplete(sender: ShardSender): void {
    sender.records.sealComplete((records, sealed) => this.#post(sender, records, sealed));
  }

  #post(sender: ShardSender, records: Buffer, sealed: Sealed): void {
    this.#wholeLast = false;
    this.#o.sending();
    sender.outbox.addMessage(sender.next(sealed), records);
    this.#outstanding(sender, sealed);
  }

  /** Sends the transaction that has just committed, by itself: it is in parts, or concerns several shards. */
  #sendFilled(): void {
    const { outbox } = this.#first;
    const { filling } = this.#o.reader;
    const stored = this.#parts;
    this.#parts = [];
    filling.seal((records, sealed) =>
      this.#sendOne(sealed, (header) => {
        if (stored.length === 0) outbox.addMessage(header, records);
        else outbox.addStored(header, stored, records, filling.uncut);
      }),
    );
  }

  /** A transaction in a message of its own. */
  #sendOne(sealed: Sealed, add: (header: NewHeader) => void): void {
    this.#o.sending();
    const several = this.#senders.length > 1;
    if (several && !this.#wholeLast)
      this.#first.outbox.addGate(this.#barriers.gate(this.#senders.map(({ previous }) => previous)));
    add(this.#first.next(sealed, several ? { allShards: true } : {}));
    for (const sender of this.#senders) {
      sender.previous = sealed.span.last;
      this.#outstanding(sender, sealed);
    }
    if (!several) return;
    const everywhere = this.#senders.map(() => sealed.span.last);
    for (const { outbox, number } of this.#senders)
      if (number > 0) outbox.addGate(this.#barriers.gate(everywhere));
    this.#wholeLast = true;
  }

  #outstanding({ number }: ShardSender, { span: { last, endLsn } }: Sealed): void {
    this.#o.confirmer.outstanding(number, { last, endLsn, ...this.#seenAt(number) });
  }

  #seenAt(shard: number): Pick<Confirmable, 'seen' | 'newest'> {
    const { seen, hybrid } = this.#o;
    return { seen: seen[shard]!.toText(), newest: hybrid.newest };
  }

  #sent(shard: number, header: MessageHeader | undefined, bytes: number): void {
    this.bytesSent += bytes;
    if (header) {
      this.messagesSent += 1;
      for (const sender of header.allShards ? this.#senders : [this.#senders[shard]!]) {
        sender.taken = header.last;
        this.#o.confirmer.queued(sender.number, header.last);
      }
    }
    this.#o.sent();
    this.sealWhenIdle();
  }

  /**
   * While a transaction waits for the other shards nothing follows what they have been sent, so nothing would show that
   * the last of it was lost: a message without changes does.
   */
  #probe(): void {
    const now = performance.now();
    if (!this.#barriers.isWaiting) this.#probedAt = now;
    if (now - this.#probedAt < PROBE_MS) return;
    this.#probedAt = now;
    this.#probes += 1;
    for (const sender of this.#senders)
      if (this.#o.confirmer.size(sender.number) > 0) void sender.probe(this.#probes);
  }
}
