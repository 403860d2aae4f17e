import { setTimeout as pause } from 'node:timers/promises';
import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { eventOf, failuresOf, type ReceivedMessage, type Run, runsOf } from './sqs-event.ts';

/** What an event source needs of one SQS queue. */
export interface SqsPort {
  receive(options: {
    readonly maxMessages: number;
    readonly waitSeconds: number;
    readonly visibilitySeconds: number;
    readonly signal: AbortSignal;
  }): Promise<ReceivedMessage[]>;
  /** At most 10. Gives the handles that could not be deleted. */
  delete(receiptHandles: readonly string[]): Promise<readonly string[]>;
  /** At most 10. 0 seconds: visible at once. */
  changeVisibility(receiptHandles: readonly string[], seconds: number): Promise<void>;
}

// biome-ignore lint/suspicious/noConfusingVoidType: the type that a Lambda handler has
export type SqsHandler = (event: SQSEvent) => Promise<SQSBatchResponse | null | void>;

export type EventSourceOptions = {
  readonly queue: SqsPort;
  /** A name that ends in `.fifo` makes it a FIFO queue. */
  readonly queueArn: string;
  readonly handler: SqsHandler;
  /** Messages per receive, 1 to 10. Default 10. */
  readonly batchSize?: number;
  /** Invocations at once; on a FIFO queue never two of one group. Default 10. */
  readonly maxConcurrency?: number;
  /** How long a message stays hidden when we die; extended while its handler runs. Default 30. */
  readonly visibilitySeconds?: number;
  /** What failed is tried again after `firstMs`, doubled with each time it was received, up to `maxMs`. */
  readonly backOff?: { readonly firstMs: number; readonly maxMs: number };
  /** Told of every error that is handled here: a failed invocation, receive, delete. */
  readonly report?: (what: string, error: unknown) => void;
};

export type EventSource = {
  /** Takes nothing new and returns when all that runs has ended and is deleted or released. */
  stop(): Promise<void>;
  /**
   * Drops everything at once, as a crash would: nothing is deleted or released any more, and what was received
   * comes back when its visibility time-out is over.
   */
  abort(): void;
};

const maxBatch = 10;

/**
 * Brings the messages of a queue to a function as Lambda's event source mapping does: a long poll that is always
 * open, batches, one invocation per message group at a time, `ReportBatchItemFailures`. Beyond Lambda: hidden
 * messages stay hidden while their handler runs, and failed ones come back after a back-off instead of at their
 * visibility time-out.
 */
export function openEventSource(options: EventSourceOptions): EventSource {
  const {
    queue,
    queueArn,
    handler,
    batchSize = maxBatch,
    maxConcurrency = 10,
    visibilitySeconds = 30,
  } = options;
  const { backOff = { firstMs: 100, maxMs: 10_000 }, report = () => undefined } = options;
  const fifo = queueArn.endsWith('.fifo');
  const stopping = new AbortController();
  const aborted = new AbortController();
  const slots = new Slots(maxConcurrency);
  const lanes = new Map<string, Promise<void>>();
  const runs = new Set<Promise<void>>();

  const poll = async (): Promise<void> => {
    for (let failures = 0; !stopping.signal.aborted; ) {
      // One receive ahead of the free slots: on FIFO it must wait at the queue when the last message of a group is
      // deleted, or the next one would cost a round trip more.
      await slots.atMostWaiting(0);
      try {
        const messages = await queue.receive({
          maxMessages: batchSize,
          waitSeconds: 20,
          visibilitySeconds,
          signal: stopping.signal,
        });
        failures = 0;
        for (const run of runsOf(messages, fifo)) start(run);
      } catch (error) {
        if (stopping.signal.aborted) return;
        // A release takes the queue with it, before this hears of it; of one that is missing its sender tells.
        if ((error as Error).name !== 'QueueDoesNotExist') report('receive failed', error);
        const delayMs = Math.min(5_000, 50 * 2 ** failures++);
        await pause(delayMs, undefined, { signal: stopping.signal }).catch(() => undefined);
      }
    }
  };

  const start = (run: Run): void => {
    const hidden = new HiddenMessages(
      queue,
      run.invocations.flat(),
      visibilitySeconds,
      aborted.signal,
      report,
    );
    const former = run.group === undefined ? undefined : lanes.get(run.group);
    const ended = (async () => {
      // SQS gives no second batch of a group while one is out, unless a visibility time-out was missed.
      await former;
      await carryOut(run, hidden);
    })()
      .catch((error) => report('messages could not be released', error))
      .finally(() => {
        hidden.close();
        runs.delete(ended);
        if (run.group !== undefined && lanes.get(run.group) === ended) lanes.delete(run.group);
      });
    runs.add(ended);
    if (run.group !== undefined) lanes.set(run.group, ended);
  };

  const carryOut = async (run: Run, hidden: HiddenMessages): Promise<void> => {
    const failed: ReceivedMessage[] = [];
    await slots.take();
    try {
      for (const messages of run.invocations) {
        if (aborted.signal.aborted) return;
        // On FIFO, what comes after a failed message waits for it.
        const failures = fifo && failed.length > 0 ? messages : await invoke(messages);
        failed.push(...failures);
        await hidden.delete(messages.filter((message) => !failures.includes(message)));
      }
    } finally {
      slots.give();
    }
    if (failed.length > 0) await release(failed, hidden);
  };

  const invoke = async (messages: readonly ReceivedMessage[]): Promise<readonly ReceivedMessage[]> => {
    try {
      return failuresOf(await handler(eventOf(messages, queueArn)), messages);
    } catch (error) {
      if (!aborted.signal.aborted) report('invocation failed', error);
      return messages;
    }
  };

  /** The group stays locked, and so in order, until its messages are visible again. */
  const release = async (failed: readonly ReceivedMessage[], hidden: HiddenMessages): Promise<void> => {
    const times = Number(failed[0]?.attributes['ApproximateReceiveCount'] ?? 1);
    const delayMs = Math.min(backOff.maxMs, backOff.firstMs * 2 ** Math.min(30, times - 1));
    await pause(delayMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    await hidden.release(failed);
  };

  const polling = poll();
  return {
    async stop() {
      stopping.abort();
      await polling;
      while (runs.size > 0) await Promise.all(runs);
    },
    abort() {
      aborted.abort();
      stopping.abort();
    },
  };
}

/** The messages of one run that are still ours: kept hidden until they are deleted or released. */
class HiddenMessages {
  readonly #queue: SqsPort;
  readonly #handles: Set<string>;
  readonly #aborted: AbortSignal;
  readonly #report: (what: string, error: unknown) => void;
  readonly #heartbeat: NodeJS.Timeout;

  constructor(
    queue: SqsPort,
    messages: readonly ReceivedMessage[],
    seconds: number,
    aborted: AbortSignal,
    report: (what: string, error: unknown) => void,
  ) {
    this.#queue = queue;
    this.#handles = new Set(messages.map(({ receiptHandle }) => receiptHandle));
    this.#aborted = aborted;
    this.#report = report;
    this.#heartbeat = setInterval(() => {
      if (aborted.aborted) return this.close();
      queue
        .changeVisibility([...this.#handles], seconds)
        .catch((error) => report('visibility not extended', error));
    }, seconds * 333);
  }

  /** Three tries; what stays undeleted comes again, which every handler must bear. */
  async delete(messages: readonly ReceivedMessage[]): Promise<void> {
    let handles: readonly string[] = this.#forget(messages);
    let failure: unknown = 'SQS refused';
    for (let tries = 0; tries < 3 && handles.length > 0 && !this.#aborted.aborted; tries++) {
      try {
        handles = await this.#queue.delete(handles);
      } catch (error) {
        failure = error;
      }
    }
    if (handles.length > 0 && !this.#aborted.aborted) this.#report('messages not deleted', failure);
  }

  async release(messages: readonly ReceivedMessage[]): Promise<void> {
    const handles = this.#forget(messages);
    if (handles.length > 0 && !this.#aborted.aborted) await this.#queue.changeVisibility(handles, 0);
  }

  close(): void {
    clearInterval(this.#heartbeat);
  }

  /** Before the request, so that no heartbeat hides them once more after it. */
  #forget(messages: readonly ReceivedMessage[]): string[] {
    const handles = messages.map(({ receiptHandle }) => receiptHandle);
    for (const handle of handles) this.#handles.delete(handle);
    if (this.#handles.size === 0) this.close();
    return handles;
  }
}

/** A counter of free places with a queue before it. */
class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];
  readonly #watching: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async take(): Promise<void> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free--;
  }

  give(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free++;
    for (const check of this.#watching.splice(0)) check();
  }

  /** Resolves as soon as no more than so many wait for a place. */
  async atMostWaiting(count: number): Promise<void> {
    while (this.#waiting.length > count) {
      await new Promise<void>((resolve) => this.#watching.push(resolve));
    }
  }
}
