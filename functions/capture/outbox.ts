import type { Log } from '../../shared/log/log.ts';
import { limits } from '../../shared/stream/limits.ts';
import { compress, formatMessage, type MessageHeader, type Part } from '../../shared/stream/message.ts';
import type { Position } from '../../shared/stream/position.ts';
import type { BlobStore, Clock, Queue } from '../../shared/task/ports.ts';
import type { SendPace } from './send-pace.ts';
import type { StreamedTransaction } from './stream-reader.ts';

/** What leaves, in order: stored parts of an open transaction, and messages; at a gate all behind it waits. */
type Job = { readonly rows: number; readonly bytes: number } & (
  | { readonly kind: 'part'; readonly key: string; readonly packed: Buffer }
  | { readonly kind: 'message'; readonly header: MessageHeader; readonly packed: Buffer | undefined }
  | { readonly kind: 'gate'; readonly opened: Promise<void> }
);

/** A header before it is known how the records are stored. */
export type NewHeader = Omit<MessageHeader, 'parts' | 'bytes'>;

type Stream = Pick<MessageHeader, 'task' | 'generation' | 'epoch' | 'shard'>;

export type OutboxOptions = {
  readonly queue: Queue;
  readonly blobs: BlobStore;
  readonly queueUrl: string;
  readonly clock: Clock;
  /** Limits of the load; absent: none. */
  readonly pace?: Pick<SendPace, 'admit'> | undefined;
  readonly log: Log;
  /** Ends with the epoch: nothing is sent any more, what waits is dropped and sent anew from the slot. */
  readonly signal: AbortSignal;
  /** Called after the queue (or blob store) has acknowledged. */
  readonly sent: (header: MessageHeader | undefined, bytes: number) => void;
  /** What is waiting can't leave: the epoch ends. */
  readonly failed: (error: unknown) => void;
};

/** Then somebody must know, and the queue may have to be made again: about 6 s. */
const TRIES = 7;

/**
 * Messages on their way to the queue: in order, one call in flight, bounded by its caller through `waiting`. A call
 * that failed is repeated some times with the same deduplication id, so a message that was taken although the answer
 * was lost is not there twice.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #jobs: Job[] = [];
  #busy = false;
  #partNumber = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Jobs not yet acknowledged. */
  get waiting(): number {
    return this.#jobs.length;
  }

  /** Stores a part of a transaction that is not complete yet: its caller keeps the list. */
  storePart(header: Stream, records: Buffer, rows: number): Part {
    return this.#store(header, records, compress(records), rows);
  }

  /** Sends a message; records that stay large when compressed go to the blob store (claim check). */
  addMessage(header: NewHeader, records: Buffer): void {
    const packed = compress(records);
    if (packed.length > limits.inlineBytes)
      return this.#addNamed(header, [], records, packed, header.changes);
    const whole = { ...header, bytes: records.length };
    this.#push({ kind: 'message', header: whole, packed, rows: header.changes, bytes: records.length });
  }

  /** Sends the message of a transaction that was in progress: its head, the parts stored before, and the rest. */
  addStreamed(header: NewHeader, transaction: Omit<StreamedTransaction, 'span' | 'seen'>): void {
    const head = this.storePart(header, transaction.head, 0);
    this.addStored(header, [head, ...transaction.parts], transaction.records, transaction.unstored);
  }

  /** Sends the message of a transaction whose parts were stored before, with the rest of it: so many rows. */
  addStored(header: NewHeader, stored: readonly Part[], records: Buffer, rows: number): void {
    this.#addNamed(header, stored, records, compress(records), rows);
  }

  /** What is added from now on waits until this is opened. */
  addGate(opened: Promise<void>): void {
    this.#push({ kind: 'gate', opened, rows: 0, bytes: 0 });
  }

  /**
   * Sends a message without changes beside the others, while these wait: it tells apply what should have come before
   * it. Its failure is no harm, the next one follows.
   */
  async probe(header: NewHeader, number: number): Promise<void> {
    const body = formatMessage({ ...header, bytes: 0 }, compress(Buffer.alloc(0)));
    const deduplication = `${deduplicationId(header)}-${number}`;
    await this.#options.queue
      .send(this.#options.queueUrl, { body, group: groupOf(header), deduplication })
      .catch((error: unknown) => this.#options.log.warn('probe not accepted', { error }));
  }

  #store(header: Stream, records: Buffer, packed: Buffer, rows: number): Part {
    const key = this.#key(header);
    this.#push({ kind: 'part', key, packed, rows, bytes: records.length });
    return { key, bytes: packed.length };
  }

  /** A message that names stored parts: those before, and one of the records. */
  #addNamed(header: NewHeader, stored: readonly Part[], records: Buffer, packed: Buffer, rows: number): void {
    const parts = [...stored, this.#store(header, records, packed, rows)];
    const named = { ...header, bytes: records.length, parts };
    this.#push({ kind: 'message', header: named, packed: undefined, rows: 0, bytes: 0 });
  }

  #key(h: Stream): string {
    this.#partNumber += 1;
    return `${h.task}/${h.generation}/${h.epoch}/${h.shard}/${String(this.#partNumber).padStart(8, '0')}`;
  }

  #push(job: Job): void {
    this.#jobs.push(job);
    if (!this.#busy) void this.#run();
  }

  async #run(): Promise<void> {
    const { signal, sent, pace } = this.#options;
    this.#busy = true;
    try {
      for (let job = this.#jobs[0]; job && !signal.aborted; job = this.#jobs[0]) {
        if (job.kind === 'gate') {
          await job.opened;
          this.#jobs.shift();
          continue;
        }
        await pace?.admit(job.rows, job.bytes, signal);
        if (signal.aborted) return;
        const bytes = await this.#deliver(job);
        if (signal.aborted) return;
        this.#jobs.shift();
        sent(job.kind === 'message' ? job.header : undefined, bytes);
      }
    } catch (error) {
      this.#options.failed(error);
    } finally {
      this.#busy = false;
    }
  }

  /** Repeats until acknowledged or the epoch ends; throws if that does not help. */
  async #deliver(job: Exclude<Job, { kind: 'gate' }>): Promise<number> {
    const { queue, blobs, queueUrl, clock, log, signal } = this.#options;
    for (let attempt = 0; ; attempt++) {
      try {
        if (job.kind === 'part') {
          await blobs.put(job.key, job.packed);
          return job.packed.length;
        }
        const { header, packed } = job;
        const body = formatMessage(header, packed);
        await queue.send(queueUrl, {
          body,
          group: groupOf(header),
          deduplication: deduplicationId(header),
        });
        return body.length;
      } catch (error) {
        if (signal.aborted) return 0;
        if (attempt + 1 >= TRIES) throw error;
        log.warn('message not accepted, will try again', { attempt, error });
        await clock.sleep(backoffMs(attempt, clock.random()), signal);
        if (signal.aborted) return 0;
      }
    }
  }
}

const groupOf = ({ task, shard }: Pick<MessageHeader, 'task' | 'shard'>): string => `${task}.${shard}`;

/** With the epoch in it: without, a re-send within five minutes is accepted and not delivered. */
export const deduplicationId = (h: {
  generation: number;
  epoch: number;
  shard: number;
  last: Position;
}): string => `${h.generation}-${h.epoch}-${h.shard}-${h.last}`;

/** 100 ms doubling up to 15 s, with half of it random. */
export const backoffMs = (attempt: number, random: number): number => {
  const full = Math.min(15_000, 100 * 2 ** Math.min(attempt, 10));
  return full / 2 + (full / 2) * random;
};
