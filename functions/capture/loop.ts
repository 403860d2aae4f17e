import { seenText } from '../../shared/conflict/seen.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { beat } from '../../shared/postgres/heartbeat.ts';
import { controlPublicationName, publicationName, slotName } from '../../shared/postgres/names.ts';
import { limits } from '../../shared/stream/limits.ts';
import type { MessageHeader, Part } from '../../shared/stream/message.ts';
import type { Position } from '../../shared/stream/position.ts';
import { Barriers } from './barriers.ts';
import type { Confirmable } from './confirm.ts';
import { Confirmer } from './confirmer.ts';
import { beatIsDue } from './heartbeat.ts';
import { type NewHeader, Outbox } from './outbox.ts';
import { type ProgressReading, readProgress } from './progress-row.ts';
import { seenInAll } from './seen-state.ts';
import type { Sealed } from './shard-records.ts';
import { ShardSender } from './shard-sender.ts';
import { openSource, type Source } from './source.ts';
import type { StreamEnd, StreamOptions } from './stream-options.ts';
import { StreamReader, took } from './stream-reader.ts';

/** The watermark is read so often while it moves, and half as often while it does not. */
const POLL_BUSY_MS = { least: 10, most: 20 } as const;
const POLL_IDLE_MS = 500;
/** With this many messages (of all shards) not yet applied there is no hurry: what comes fills the next message, */
const UNAPPLIED_ENOUGH = 8;
/** but not for longer than this: they may be lost, and only a message behind them brings that to light. */
const FILL_MS = 500;
const STATUS_MS = 10_000;
/** So long a transaction of several shards waits for the others before they are asked whether they miss something. */
const PROBE_MS = 2_000;

/**
 * The stream of one task under one epoch. Priorities, in this order: stop, lost lease, the result of a send, WAL,
 * status update. Per row it calls `reader.take`; all else happens at commits, when the socket has been read empty,
 * when a send is acknowledged, or by timer. Durable first, then say so: queue or destination, checkpoint, slot.
 */
export class Stream {
  readonly #o: StreamOptions;
  readonly #reader: StreamReader;
  readonly #confirmer: Confirmer;
  readonly #ended = new AbortController();
  readonly #senders: readonly ShardSender[];
  readonly #barriers = new Barriers();
  /** Stored parts of the open transaction that concerns several shards. */
  #parts: Part[] = [];
  /** Nothing but such transactions was sealed since the last one of them. */
  #wholeLast = false;
  #probedAt = 0;
  #probes = 0;
  #source: Source | undefined;
  #end: StreamEnd = { why: 'stopped' };
  #failure: unknown;
  #paused = false;
  #draining = false;
  /** What comes is not read any more: it stays in the slot. */
  #deaf = false;
  #received = 0n;
  #bytesSent = 0;
  #messagesSent = 0;

  constructor(options: StreamOptions) {
    this.#o = options;
    const { task, generation, epoch, config, seen, start, clock, placing } = options;
    this.#applied = start.reduce((a, b) => (a < b ? a : b));
    this.#confirmer = new Confirmer(options);
    this.#reader = new StreamReader({
      shards: seen.map((each, n) => ({ seen: each, skipUpTo: start[n]! })),
      seenInAll: { toText: () => seenText(seenInAll(seen)) },
      clock: options.hybrid,
      placing,
    });
    this.#senders = this.#reader.shards.map((records, n) => {
      const outbox = new Outbox({
        queue: options.queue,
        blobs: options.blobs,
        queueUrl: options.queueUrl,
        clock,
        log: options.log,
        pace: options.pace,
        signal: this.#ended.signal,
        sent: (header, bytes) => this.#sent(n, header, bytes),
        failed: (error) => this.#fail(error),
      });
      return new ShardSender(n, {
        facts: { task, generation, epoch, config },
        records,
        outbox,
        start: start[n]!,
      });
    });
  }

  /** Runs until stopped, drained, or a re-send is asked for; throws what broke it. */
  async run(signal: AbortSignal): Promise<StreamEnd> {
    const { task, log } = this.#o;
    const stop = () => this.#finish();
    signal.addEventListener('abort', stop);
    try {
      this.#source = await openSource(
        {
          target: this.#o.source,
          slot: slotName(task),
          publications: [publicationName(task), controlPublicationName(task)],
          startLsn: 0n,
          origin: this.#o.origin,
        },
        {
          message: (b, start, end) => this.#message(b, start, end),
          keepalive: (walEnd, reply) => this.#keepalive(walEnd, reply),
          drained: () => this.#sealWhenIdle(),
        },
      );
      log.info('stream started', { epoch: this.#o.epoch, after: this.#applied });
      if (signal.aborted) stop();
      const timers = [this.#pollLoop(), this.#statusLoop(), this.#beatLoop()];
      await Promise.race([this.#source.done, ...timers]);
      if (this.#failure === undefined && !this.#ended.signal.aborted)
        throw new PgtwinError('database-unreachable', { detail: 'The replication stream ended.' });
    } catch (error) {
      if (!this.#ended.signal.aborted) this.#failure ??= error;
    } finally {
      signal.removeEventListener('abort', stop);
      this.#ended.abort();
      this.#barriers.end();
      await this.#source?.close();
      await this.#confirmer.settled();
    }
    if (this.#failure !== undefined) throw this.#failure;
    return this.#end;
  }

  /** Sends and waits for what has been read, then ends with `drained`; new WAL stays in the slot. */
  drain(): void {
    this.#draining = true;
    if (!this.#reader.inTransaction) this.#stopReading();
  }

  #stopReading(): void {
    this.#deaf = true;
    this.#source?.pause();
  }

  #finish(end: StreamEnd = { why: 'stopped' }): void {
    if (this.#ended.signal.aborted) return;
    this.#end = end;
    this.#ended.abort();
    // A quiet stream is woken by closing its connection.
    void this.#source?.close();
  }

  #fail(error: unknown): void {
    if (this.#ended.signal.aborted) return;
    this.#failure = error;
    this.#finish();
  }

  #message(b: Buffer, start: number, end: number): void {
    if (this.#ended.signal.aborted || this.#deaf) return;
    switch (this.#reader.take(b, start, end)) {
      case took.kept:
        for (const sender of this.#senders)
          if (sender.outbox.hasParts || this.#isFull(sender)) this.#seal(sender);
        break;
      case took.partFull:
        this.#cutPart();
        break;
      case took.streamFull:
        this.#reader.cutStreamed((records, rows) => this.#first.outbox.storePart(this.#at, records, rows));
        this.#holdBack();
        break;
      case took.streamed:
        this.#sealAll();
        this.#reader.sealStreamed((transaction) =>
          this.#sendOne(transaction, (header) => this.#first.outbox.addStreamed(header, transaction)),
        );
        break;
      case took.whole:
        this.#sealAll();
        this.#reader.whole.seal((records, sealed) => {
          const [stored, rows] = [this.#parts, this.#reader.whole.uncut];
          this.#parts = [];
          this.#sendOne(sealed, (header) => this.#first.outbox.addStored(header, stored, records, rows));
        });
        break;
      default:
    }
    if (this.#draining && !this.#reader.inTransaction) this.#stopReading();
  }

  /** The first shard: the only one, or the one in whose group transactions of several shards are. */
  get #first(): ShardSender {
    return this.#senders[0]!;
  }

  /** Of stored parts. */
  get #at(): Pick<MessageHeader, 'task' | 'generation' | 'epoch' | 'shard'> {
    return { ...this.#o, shard: 0 };
  }

  #cutPart(): void {
    const { filling, whole } = this.#reader;
    if (filling.transactions > 0) this.#sealComplete(this.#first);
    if (filling.records.length >= limits.partBytes)
      filling.cutPart((records, rows) => {
        if (filling === whole) this.#parts.push(this.#first.outbox.storePart(this.#at, records, rows));
        else this.#first.outbox.addPart(this.#at, records, rows);
      });
    this.#holdBack();
  }

  #isFull({ records }: ShardSender): boolean {
    if (records.records.length >= limits.sealBytes) return true;
    return (
      records.transactions > 0 && this.#o.pace?.isEnough(records.changes, records.records.length) === true
    );
  }

  /** The socket is read empty: while the reader or a send is behind fill the message, else it leaves now. */
  #sealWhenIdle(): void {
    for (const sender of this.#senders) {
      const { records, outbox, number } = sender;
      if (records.transactions === 0 || outbox.waiting > 0) continue;
      const filling = performance.now() - sender.postedAt < FILL_MS;
      if (filling && this.#confirmer.size(number) >= (this.#senders.length > 1 ? 1 : UNAPPLIED_ENOUGH))
        continue;
      if (this.#reader.inTransaction) this.#sealComplete(sender);
      else this.#seal(sender);
    }
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
    this.#sentAgain.abort();
    const header = sender.next(sealed);
    sender.outbox.addMessage(header, records);
    this.#outstanding(sender, sealed);
    this.#holdBack();
  }

  /**
   * A transaction in a message of its own. With several shards it waits until all have applied what came before it,
   * and what comes after it waits until it is applied in all: what is sent in one shard has no order with another.
   */
  #sendOne(sealed: Sealed, add: (header: NewHeader) => void): void {
    this.#sentAgain.abort();
    const several = this.#senders.length > 1;
    if (several && !this.#wholeLast)
      this.#first.outbox.addGate(this.#barriers.gate(this.#senders.map(({ previous }) => previous)));
    const header = this.#first.next(sealed, several ? { allShards: true } : {});
    add(header);
    for (const sender of this.#senders) {
      sender.previous = sealed.span.last;
      this.#outstanding(sender, sealed);
    }
    if (several) {
      const everywhere = this.#senders.map(() => sealed.span.last);
      for (const { outbox, number } of this.#senders)
        if (number > 0) outbox.addGate(this.#barriers.gate(everywhere));
      this.#wholeLast = true;
    }
    this.#holdBack();
  }

  #outstanding({ number }: ShardSender, { span }: Sealed): void {
    const { seen, hybrid } = this.#o;
    this.#confirmer.outstanding(number, {
      last: span.last,
      endLsn: span.endLsn,
      seen: seen[number]!.toText(),
      newest: hybrid.newest,
    });
  }

  #holdBack(): void {
    if (this.#paused || !this.#isLoaded) return;
    this.#paused = true;
    this.#source?.pause();
  }

  get #isLoaded(): boolean {
    return this.#senders.some(({ outbox }) => outbox.waiting >= limits.outboxMessages);
  }

  #sent(shard: number, header: MessageHeader | undefined, bytes: number): void {
    this.#bytesSent += bytes;
    if (header) {
      this.#messagesSent += 1;
      for (const sender of header.allShards ? this.#senders : [this.#senders[shard]!]) {
        sender.taken = header.last;
        this.#confirmer.queued(sender.number, header.last);
      }
    }
    if (this.#paused && !this.#deaf && !this.#isLoaded) {
      this.#paused = false;
      this.#source?.resume();
    }
    this.#sealWhenIdle();
  }

  #keepalive(walEnd: bigint, replyRequested: boolean): void {
    // What a deaf stream did not read must not count as received.
    if (walEnd > this.#received && !this.#deaf) this.#received = walEnd;
    if (replyRequested) this.#source?.sendStatus(this.#received, this.#confirmer.confirmed);
  }

  /** Everything that was read has been applied (or was not for sending): WAL up to here may go as well. */
  get #nothingOutstanding(): boolean {
    return this.#senders.every((sender) => this.#isIdle(sender));
  }

  #isIdle({ number, outbox, records }: ShardSender): boolean {
    return (
      this.#confirmer.isIdle(number) &&
      outbox.waiting === 0 &&
      records.transactions === 0 &&
      !this.#reader.inTransaction
    );
  }

  /** The watermark, as last read: of the shard that is behind. */
  #applied: Position;

  /** Ends the pause of an idle poll: what is sent now may soon be waited for. */
  #sentAgain = new AbortController();

  /** Reads the watermark, confirms, answers a request for a re-send, reports. */
  async #pollLoop(): Promise<void> {
    const { clock, destinationSql, task } = this.#o;
    let busyMs: number = POLL_BUSY_MS.least;
    let former: Position | undefined;
    while (!this.#ended.signal.aborted) {
      const reading = await readProgress(destinationSql, task);
      if (this.#ended.signal.aborted) return;
      if (!reading)
        throw new PgtwinError('gap-not-healable', { detail: `The progress row of task ${task} is gone.` });
      if (reading.generation === this.#o.generation && reading.resendEpoch > this.#o.epoch) {
        this.#o.log.warn('apply misses messages, sending again', {
          from: reading.position,
          epoch: reading.resendEpoch,
        });
        await this.#telling;
        return this.#finish({ why: 're-send', epoch: reading.resendEpoch, from: reading.position });
      }
      this.#barriers.reached(reading.positions);
      if (await this.#confirmer.take(reading, (shard) => this.#idle(shard)))
        this.#source?.sendStatus(this.#received, this.#confirmer.confirmed);
      if (this.#ended.signal.aborted) return;
      this.#applied = reading.position;
      this.#sealWhenIdle();
      this.#probe();
      this.#tell(reading);
      if (this.#draining && this.#nothingOutstanding) {
        await this.#telling;
        return this.#finish({ why: 'drained' });
      }
      const idle = this.#nothingOutstanding && !this.#o.isAwaited();
      const { least, most } = POLL_BUSY_MS;
      busyMs = reading.position === former ? Math.min(most, busyMs * 1.5) : least;
      former = reading.position;
      if (!idle) await clock.sleep(busyMs, this.#ended.signal);
      else {
        this.#sentAgain = new AbortController();
        await clock.sleep(POLL_IDLE_MS, AbortSignal.any([this.#ended.signal, this.#sentAgain.signal]));
      }
    }
  }

  /** Whoever is told of progress: beside the polls, or what is sent would wait for a table and a catalogue. */
  #telling: Promise<void> | undefined;

  /** One call at a time: a reading that comes during one is passed over, the next one says more. */
  #tell(reading: ProgressReading): void {
    this.#telling ??= this.#o
      .onProgress(reading, {
        bytesSent: this.#bytesSent,
        messagesSent: this.#messagesSent,
        outstanding: !this.#nothingOutstanding,
        read: later(this.#received, this.#reader.endLsn),
      })
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#telling = undefined;
      });
  }

  /** What may be confirmed in a shard because nothing is outstanding there. */
  #idle(shard: number): Confirmable | undefined {
    const sender = this.#senders[shard]!;
    if (!this.#isIdle(sender)) return undefined;
    const { seen, hybrid } = this.#o;
    const lsn = later(this.#received, this.#reader.endLsn);
    return { lsn, position: sender.previous, seen: seen[shard]!.toText(), newest: hybrid.newest };
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
      if (this.#confirmer.size(sender.number) > 0) void sender.probe(this.#probes);
  }

  /**
   * From a timer of our own: under back pressure the server's keepalives are not read. Each asks for an answer, so
   * that a connection that has silently gone is noticed, unless the server itself is told not to care.
   */
  async #statusLoop(): Promise<void> {
    const { senderTimeoutMs, clock, source } = this.#o;
    const every = senderTimeoutMs > 0 ? Math.min(STATUS_MS, Math.floor(senderTimeoutMs / 3)) : STATUS_MS;
    while (!this.#ended.signal.aborted) {
      const silentMs = performance.now() - (this.#source?.heardAt ?? 0);
      if (senderTimeoutMs > 0 && silentMs > senderTimeoutMs && !this.#paused && !this.#deaf)
        throw new PgtwinError('database-unreachable', {
          detail: `The replication stream from ${source.host}:${source.port} is silent.`,
        });
      this.#source?.sendStatus(this.#received, this.#confirmer.confirmed, true);
      await clock.sleep(every, this.#ended.signal);
    }
  }

  async #beatLoop(): Promise<void> {
    const { clock, sourceSql, task } = this.#o;
    let last = 0;
    let quietBeats = 0;
    while (!this.#ended.signal.aborted) {
      const { activity, lastChanged } = this.#reader;
      const sinceLastMs = clock.now().getTime() - last;
      if (
        !this.#draining &&
        beatIsDue({ activity, outstanding: lastChanged > this.#applied, quietBeats, sinceLastMs })
      ) {
        this.#reader.activity = false;
        quietBeats = activity ? 0 : quietBeats + 1;
        last = clock.now().getTime();
        await beat(sourceSql, task);
      }
      await clock.sleep(50, this.#ended.signal);
    }
  }
}

const later = (a: bigint, b: bigint): bigint => (a > b ? a : b);
