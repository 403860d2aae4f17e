import { seenText } from '../../shared/conflict/seen.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { beat } from '../../shared/postgres/heartbeat.ts';
import { controlPublicationName, publicationName, slotName } from '../../shared/postgres/names.ts';
import { lowest, type Position } from '../../shared/stream/position.ts';
import { Confirmer } from './confirmer.ts';
import { Dispatch } from './dispatch.ts';
import { beatIsDue } from './heartbeat.ts';
import { type ProgressReading, readProgress } from './progress-row.ts';
import { seenInAll } from './seen-state.ts';
import { openSource, type Source } from './source.ts';
import type { StreamEnd, StreamOptions } from './stream-options.ts';
import { StreamReader, took } from './stream-reader.ts';

/** The watermark is read so often while it moves, and half as often while it does not. */
const POLL_BUSY_MS = { least: 10, most: 20 } as const;
const POLL_IDLE_MS = 500;
const STATUS_MS = 10_000;

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
  readonly #dispatch: Dispatch;
  #source: Source | undefined;
  #end: StreamEnd = { why: 'stopped' };
  #failure: unknown;
  #paused = false;
  #draining = false;
  /** What comes is not read any more: it stays in the slot. */
  #deaf = false;
  #received = 0n;

  constructor(options: StreamOptions) {
    this.#o = options;
    const { seen, start, placing, hybrid } = options;
    this.#applied = lowest(start);
    this.#confirmer = new Confirmer(options);
    this.#reader = new StreamReader({
      shards: seen.map((each, n) => ({ seen: each, skipUpTo: start[n]! })),
      seenInAll: { toText: () => seenText(seenInAll(seen)) },
      clock: hybrid,
      placing,
    });
    this.#dispatch = new Dispatch({
      ...options,
      reader: this.#reader,
      confirmer: this.#confirmer,
      signal: this.#ended.signal,
      failed: (error) => this.#fail(error),
      sending: () => this.#sentAgain.abort(),
      sent: () => this.#goOn(),
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
          drained: () => this.#dispatch.sealWhenIdle(),
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
    const became = this.#reader.take(b, start, end);
    this.#dispatch.took(became);
    if (became !== took.nothing && !this.#paused && this.#dispatch.isLoaded) {
      this.#paused = true;
      this.#source?.pause();
    }
    if (this.#draining && !this.#reader.inTransaction) this.#stopReading();
  }

  /** Back pressure ends when enough has been sent. */
  #goOn(): void {
    if (!this.#paused || this.#deaf || this.#dispatch.isLoaded) return;
    this.#paused = false;
    this.#source?.resume();
  }

  #keepalive(walEnd: bigint, replyRequested: boolean): void {
    // What a deaf stream did not read must not count as received.
    if (walEnd > this.#received && !this.#deaf) this.#received = walEnd;
    if (replyRequested) this.#source?.sendStatus(this.#received, this.#confirmer.confirmed);
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
      this.#dispatch.reached(reading.positions);
      if (await this.#confirmer.take(reading, (shard) => this.#dispatch.idleAt(shard, this.#read)))
        this.#source?.sendStatus(this.#received, this.#confirmer.confirmed);
      if (this.#ended.signal.aborted) return;
      this.#applied = reading.position;
      this.#dispatch.sealWhenIdle();
      this.#tell(reading);
      if (this.#draining && this.#dispatch.nothingOutstanding) {
        await this.#telling;
        return this.#finish({ why: 'drained' });
      }
      const idle = this.#dispatch.nothingOutstanding && !this.#o.isAwaited();
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
        bytesSent: this.#dispatch.bytesSent,
        messagesSent: this.#dispatch.messagesSent,
        outstanding: !this.#dispatch.nothingOutstanding,
        read: this.#read,
      })
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#telling = undefined;
      });
  }

  /** WAL up to here has been read. */
  get #read(): bigint {
    return later(this.#received, this.#reader.endLsn);
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
