import { AsyncLocalStorage } from 'node:async_hooks';
import type { buildApp } from 'fauxqs';

/*
 * Where fauxqs 2.4 differs from SQS in what pgtwin depends on. Its queue class is not exported, so it is reached by
 * file and three of its methods are wrapped; queue.test.ts fails if a new version no longer fits.
 */
type Message = { readonly sequenceNumber?: string };
type Dequeue = (this: Queue, max: number, visibilitySeconds?: number, deadLetters?: unknown) => unknown[];
type Queue = {
  readonly fifoMessages: Map<string, Message[]>;
  readonly fifoLockedGroups: Map<string, number>;
  readonly inflightMessages: Map<string, unknown>;
  readonly pollWaiters: { readonly resolve: () => void; readonly timer: NodeJS.Timeout }[];
};
type QueuePrototype = {
  dequeue: Dequeue;
  dequeueFifo: Dequeue;
  processTimers(this: Queue): void;
  changeVisibility(this: Queue, receiptHandle: string, seconds: number): void;
  waitForMessages(this: Queue, seconds: number): Promise<void>;
};

/** The client's connection, for the request that is being handled. */
const currentRequest = new AsyncLocalStorage<{ readonly gone: AbortSignal }>();

/** Wraps the methods, for all queues of this thread; gives the class that holds them. */
export async function repairQueues(): Promise<new () => object> {
  const file = new URL('./sqs/sqsStore.js', import.meta.resolve('fauxqs'));
  const { SqsQueue, SqsStore } = (await import(file.href)) as {
    SqsQueue: { prototype: QueuePrototype };
    SqsStore: new () => object;
  };
  takeManyOfOneGroup(SqsQueue.prototype);
  keepOrderOnReturn(SqsQueue.prototype);
  forgetClientsThatLeft(SqsQueue.prototype);
  return SqsStore;
}

/** SQS gives as many messages of one group in one receive as it has; fauxqs one, and then locks the group. */
function takeManyOfOneGroup(prototype: QueuePrototype): void {
  const takeOnePerGroup = prototype.dequeueFifo;
  prototype.dequeueFifo = function (max, visibilitySeconds, deadLetters) {
    const lockedBefore = new Set(this.fifoLockedGroups.keys());
    const taken = new Map<string, number>();
    const batch: unknown[] = [];
    while (batch.length < max) {
      const round = takeOnePerGroup.call(this, max - batch.length, visibilitySeconds, deadLetters);
      if (round.length === 0) break;
      batch.push(...round);
      // The groups of this round are opened for the next one, within this call only.
      for (const group of [...this.fifoLockedGroups.keys()].filter((name) => !lockedBefore.has(name))) {
        taken.set(group, (taken.get(group) ?? 0) + 1);
        this.fifoLockedGroups.delete(group);
      }
    }
    for (const [group, count] of taken) this.fifoLockedGroups.set(group, count);
    return batch;
  };
}

/** Messages that come back are put in front of their group one by one: several would come back in reverse. */
function keepOrderOnReturn(prototype: QueuePrototype): void {
  const inOrder = (queue: Queue, work: () => void): void => {
    const inFlight = queue.inflightMessages.size;
    work();
    if (queue.inflightMessages.size === inFlight) return;
    for (const messages of queue.fifoMessages.values()) {
      messages.sort((one, other) => ((one.sequenceNumber ?? '') < (other.sequenceNumber ?? '') ? -1 : 1));
    }
  };
  const { processTimers, changeVisibility } = prototype;
  prototype.processTimers = function () {
    inOrder(this, () => processTimers.call(this));
  };
  prototype.changeVisibility = function (receiptHandle, seconds) {
    inOrder(this, () => changeVisibility.call(this, receiptHandle, seconds));
  };
}

/** A long poll whose client has gone would still take the next message, and hide it for its visibility time-out. */
function forgetClientsThatLeft(prototype: QueuePrototype): void {
  const { dequeue, waitForMessages } = prototype;
  prototype.dequeue = function (...parameters) {
    return currentRequest.getStore()?.gone.aborted ? [] : dequeue.apply(this, parameters);
  };
  prototype.waitForMessages = function (seconds) {
    const waiting = waitForMessages.call(this, seconds);
    const waiter = this.pollWaiters.at(-1);
    currentRequest.getStore()?.gone.addEventListener('abort', () => {
      const index = waiter ? this.pollWaiters.indexOf(waiter) : -1;
      if (index < 0 || !waiter) return;
      this.pollWaiters.splice(index, 1);
      clearTimeout(waiter.timer);
      waiter.resolve();
    });
    return waiting;
  };
}

/** Runs a request whose client may go away. */
export const withClient = <Result>(gone: AbortSignal, work: () => Result): Result =>
  currentRequest.run({ gone }, work);

/** Lets the queues know when the client of the current request has gone. */
export function repairLongPolls(app: ReturnType<typeof buildApp>): void {
  // After the body is read: reading it would lose the context.
  app.addHook('preHandler', (_request, reply, done) => {
    const gone = new AbortController();
    reply.raw.once('close', () => {
      if (!reply.raw.writableFinished) gone.abort();
    });
    withClient(gone.signal, done);
  });
}
