import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  type QueueAttributeName,
  SendMessageBatchCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import type { SQSEvent } from 'aws-lambda';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { until } from '../../test/support/wait.ts';
import { type EventSource, type EventSourceOptions, openEventSource, type SqsPort } from './event-source.ts';
import { type QueueServer, startQueueServer } from './queue.ts';
import { localSqsClient } from './sqs-client.ts';

let server: QueueServer;
let client: SQSClient;
beforeAll(async () => {
  server = await startQueueServer();
  client = localSqsClient(server);
});
afterAll(async () => {
  client.destroy();
  await server.stop();
});

type Queue = { readonly url: string; readonly arn: string; readonly port: SqsPort };
let queues = 0;
async function makeQueue(attributes: Record<string, string> = {}, fifo = true): Promise<Queue> {
  const { QueueUrl: url = '' } = await client.send(
    new CreateQueueCommand({
      QueueName: `source${queues++}${fifo ? '.fifo' : ''}`,
      Attributes: { ...(fifo ? { FifoQueue: 'true' } : {}), ...attributes },
    }),
  );
  return { url, arn: await attribute(url, 'QueueArn'), port: server.open(url) };
}
async function attribute(QueueUrl: string, name: QueueAttributeName): Promise<string> {
  const { Attributes } = await client.send(
    new GetQueueAttributesCommand({ QueueUrl, AttributeNames: [name] }),
  );
  return Attributes?.[name] ?? '';
}
/** Messages that are neither deleted nor moved away. */
const left = async (url: string): Promise<number> =>
  Number(await attribute(url, 'ApproximateNumberOfMessages')) +
  Number(await attribute(url, 'ApproximateNumberOfMessagesNotVisible'));
const untilEmpty = (url: string) =>
  until('an empty queue', async (saw) => {
    const count = await left(url);
    saw(count);
    return count === 0;
  });

/** `group:text` goes to that group, in this order. */
async function send({ url, arn }: Queue, bodies: readonly string[]): Promise<void> {
  for (let i = 0; i < bodies.length; i += 10) {
    const Entries = bodies.slice(i, i + 10).map((body, index) => ({
      Id: String(index),
      MessageBody: body,
      ...(arn.endsWith('.fifo')
        ? { MessageGroupId: body.split(':')[0] ?? '', MessageDeduplicationId: body }
        : {}),
    }));
    const { Failed = [] } = await client.send(new SendMessageBatchCommand({ QueueUrl: url, Entries }));
    expect(Failed).toEqual([]);
  }
}

function open(queue: Queue, options: Omit<EventSourceOptions, 'queue' | 'queueArn'>): EventSource {
  const source = openEventSource({
    queue: queue.port,
    queueArn: queue.arn,
    backOff: { firstMs: 5, maxMs: 50 },
    ...options,
  });
  onTestFinished(() => source.abort());
  return source;
}
const bodiesOf = (event: SQSEvent): string[] => event.Records.map(({ body }) => body);
const fail = (event: SQSEvent, from: number) => ({
  batchItemFailures: event.Records.slice(from).map(({ messageId }) => ({ itemIdentifier: messageId })),
});
type Gate = { readonly opened: Promise<void>; open(): void };
function gate(): Gate {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

test('batches of one group, one at a time, in order; groups side by side up to the limit', async () => {
  const queue = await makeQueue();
  const bodies = Array.from({ length: 60 }, (_, i) => `${'abc'[i % 3]}:${i}`);
  const done: string[] = [];
  const running = new Map<string, number>();
  let most = 0;
  let largest = 0;
  open(queue, {
    maxConcurrency: 2,
    async handler(event) {
      const groups = new Set(event.Records.map(({ attributes }) => attributes.MessageGroupId ?? ''));
      expect(groups.size).toBe(1);
      const [group = ''] = groups;
      expect(running.has(group)).toBe(false);
      running.set(group, 1);
      most = Math.max(most, running.size);
      largest = Math.max(largest, event.Records.length);
      await new Promise((resolve) => setImmediate(resolve));
      done.push(...bodiesOf(event));
      running.delete(group);
    },
  });
  await send(queue, bodies);
  await untilEmpty(queue.url);
  for (const group of 'abc') {
    const of = (all: readonly string[]): string[] => all.filter((body) => body.startsWith(group));
    expect(of(done)).toEqual(of(bodies));
  }
  expect(most).toBeLessThanOrEqual(2);
  expect(largest).toBeGreaterThan(1);
});

test('whatever fails and however often: each group is carried out in order, and nothing is lost', async () => {
  const plan = fc.record({
    groups: fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 40 }),
    // Per invocation: how many of its messages succeed before the first failure; -1 throws, -2 names an unknown one.
    outcomes: fc.array(fc.integer({ min: -2, max: 9 }), { maxLength: 25 }),
    maxConcurrency: fc.integer({ min: 1, max: 4 }),
    batchSize: fc.integer({ min: 1, max: 10 }),
  });
  await fc.assert(
    fc.asyncProperty(plan, async ({ groups, outcomes, maxConcurrency, batchSize }) => {
      const queue = await makeQueue();
      const bodies = groups.map((group, index) => `${group}:${index}`);
      const script = [...outcomes];
      const done: string[] = [];
      const source = open(queue, {
        maxConcurrency,
        batchSize,
        backOff: { firstMs: 1, maxMs: 4 },
        async handler(event) {
          const outcome = script.shift() ?? event.Records.length;
          if (outcome === -1) throw new Error('scripted');
          if (outcome === -2) return { batchItemFailures: [{ itemIdentifier: 'unknown' }] };
          done.push(...bodiesOf(event).slice(0, outcome));
          return fail(event, outcome);
        },
      });
      await send(queue, bodies);
      await untilEmpty(queue.url);
      await source.stop();
      for (const group of 'abc') {
        const of = (all: readonly string[]): string[] => all.filter((body) => body.startsWith(group));
        expect(of(done)).toEqual(of(bodies));
      }
    }),
    { numRuns: 40 },
  );
});

test('a failed item in the middle: what succeeded is deleted, the rest comes again with its count raised', async () => {
  const queue = await makeQueue();
  await send(queue, ['g:1', 'g:2', 'g:3', 'g:4']);
  const seen: [string[], string[]][] = [];
  open(queue, {
    async handler(event) {
      const counts = event.Records.map(({ attributes }) => attributes.ApproximateReceiveCount);
      seen.push([bodiesOf(event), counts]);
      return seen.length === 1 ? fail(event, 2) : null;
    },
  });
  await untilEmpty(queue.url);
  expect(seen).toEqual([
    [
      ['g:1', 'g:2', 'g:3', 'g:4'],
      ['1', '1', '1', '1'],
    ],
    [
      ['g:3', 'g:4'],
      ['2', '2'],
    ],
  ]);
});

test('a record has all that Lambda gives for a FIFO queue', async () => {
  const queue = await makeQueue();
  const events: SQSEvent[] = [];
  open(queue, {
    async handler(event) {
      events.push(event);
    },
  });
  await send(queue, ['g:1']);
  await untilEmpty(queue.url);
  expect(events[0]?.Records[0]).toMatchObject({
    messageId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    eventSourceARN: queue.arn,
    awsRegion: 'us-east-1',
    attributes: {
      MessageGroupId: 'g',
      MessageDeduplicationId: 'g:1',
      SequenceNumber: expect.stringMatching(/^\d{20}$/),
      ApproximateReceiveCount: '1',
      SentTimestamp: expect.stringMatching(/^\d{13}$/),
      ApproximateFirstReceiveTimestamp: expect.stringMatching(/^\d{13}$/),
      SenderId: expect.any(String),
    },
  });
});

test('stop waits for what runs and takes nothing new', async () => {
  const queue = await makeQueue();
  await send(queue, ['g:1']);
  const [entered, leave] = [gate(), gate()];
  const done: string[] = [];
  const source = open(queue, {
    async handler(event) {
      entered.open();
      await leave.opened;
      done.push(...bodiesOf(event));
    },
  });
  await entered.opened;
  await send(queue, ['g:2', 'h:1']);
  const stopped = source.stop();
  leave.open();
  await stopped;
  expect(done).toContain('g:1');
  const remaining = await left(queue.url);
  expect(remaining + done.length).toBe(3);
  await source.stop();
});

test('abort deletes nothing, even if the handler ends well; another source gets all of it again', async () => {
  const queue = await makeQueue();
  await send(queue, ['g:1', 'g:2']);
  const [entered, leave] = [gate(), gate()];
  const source = open(queue, {
    visibilitySeconds: 1,
    async handler() {
      entered.open();
      await leave.opened;
    },
  });
  await entered.opened;
  source.abort();
  leave.open();
  await source.stop();
  expect(await left(queue.url)).toBe(2);

  const events: SQSEvent[] = [];
  open(queue, {
    async handler(event) {
      events.push(event);
    },
  });
  await untilEmpty(queue.url);
  expect(events.flatMap(bodiesOf)).toEqual(['g:1', 'g:2']);
  expect(events[0]?.Records[0]?.attributes.ApproximateReceiveCount).toBe('2');
});

test('a handler that runs longer than the visibility time-out keeps its messages', async () => {
  const queue = await makeQueue();
  await send(queue, ['g:1']);
  const [entered, leave] = [gate(), gate()];
  let calls = 0;
  open(queue, {
    visibilitySeconds: 1,
    async handler() {
      calls++;
      entered.open();
      await leave.opened;
    },
  });
  await entered.opened;
  const start = Date.now();
  // A second reader would see the message if it became visible.
  await until('more than two visibility time-outs', async () => {
    const seen = await queue.port.receive({
      maxMessages: 10,
      waitSeconds: 1,
      visibilitySeconds: 1,
      signal: AbortSignal.timeout(10_000),
    });
    expect(seen).toEqual([]);
    return Date.now() - start > 2_200;
  });
  leave.open();
  await untilEmpty(queue.url);
  expect(calls).toBe(1);
});

test('a message that always fails ends in the dead-letter queue, and its group goes on', async () => {
  const dead = await makeQueue();
  const queue = await makeQueue({
    RedrivePolicy: JSON.stringify({ deadLetterTargetArn: dead.arn, maxReceiveCount: 3 }),
  });
  await send(queue, ['g:bad']);
  const tries: string[] = [];
  const errors: string[] = [];
  open(queue, {
    report: (what) => errors.push(what),
    async handler(event) {
      tries.push(...bodiesOf(event));
      if (bodiesOf(event).includes('g:bad')) throw new Error('never');
    },
  });
  await until('the dead letter', async () => (await left(dead.url)) === 1);
  await send(queue, ['g:good']);
  await untilEmpty(queue.url);
  expect(tries).toEqual(['g:bad', 'g:bad', 'g:bad', 'g:good']);
  expect(errors).toEqual(['invocation failed', 'invocation failed', 'invocation failed']);
});

test('a standard queue: many at once, failures alone come again', async () => {
  const queue = await makeQueue({}, false);
  const bodies = Array.from({ length: 30 }, (_, i) => String(i));
  const done: string[] = [];
  const refused = new Set(['3', '17']);
  open(queue, {
    batchSize: 1,
    maxConcurrency: 4,
    async handler(event) {
      const [body = ''] = bodiesOf(event);
      if (refused.delete(body)) throw new Error('once');
      done.push(body);
    },
  });
  await send(queue, bodies);
  await untilEmpty(queue.url);
  expect(done.toSorted()).toEqual(bodies.toSorted());
});

test('an unreachable or failing queue is reported and tried again', async () => {
  const queue = await makeQueue();
  let refusals = 3;
  let refusedDeletes = 2;
  const errors: string[] = [];
  const done: string[] = [];
  open(
    {
      ...queue,
      port: {
        ...queue.port,
        async receive(options) {
          if (refusals-- > 0) throw new Error('refused');
          return await queue.port.receive(options);
        },
        async delete(handles) {
          return refusedDeletes-- > 0 ? handles : await queue.port.delete(handles);
        },
      },
    },
    {
      report: (what) => errors.push(what),
      async handler(event) {
        done.push(...bodiesOf(event));
      },
    },
  );
  await send(queue, ['g:1']);
  await untilEmpty(queue.url);
  expect(done).toEqual(['g:1']);
  expect(errors).toEqual(['receive failed', 'receive failed', 'receive failed']);
});
