import {
  ChangeMessageVisibilityBatchCommand,
  CreateQueueCommand,
  DeleteMessageCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../test/support/wait.ts';
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

let queues = 0;
async function makeQueue(): Promise<string> {
  const { QueueUrl } = await client.send(
    new CreateQueueCommand({ QueueName: `q${queues++}.fifo`, Attributes: { FifoQueue: 'true' } }),
  );
  return QueueUrl ?? '';
}
const send = (QueueUrl: string, bodies: readonly string[], group = 'g') =>
  client.send(
    new SendMessageBatchCommand({
      QueueUrl,
      Entries: bodies.map((body) => ({
        Id: body,
        MessageBody: body,
        MessageGroupId: group,
        MessageDeduplicationId: body,
      })),
    }),
  );
async function receive(
  QueueUrl: string,
  options: { readonly wait?: number; readonly visibility?: number; readonly signal?: AbortSignal } = {},
): Promise<Message[]> {
  const { Messages = [] } = await client.send(
    new ReceiveMessageCommand({
      QueueUrl,
      MaxNumberOfMessages: 10,
      WaitTimeSeconds: options.wait ?? 0,
      VisibilityTimeout: options.visibility ?? 30,
    }),
    options.signal ? { abortSignal: options.signal } : {},
  );
  return Messages;
}
const bodies = (messages: readonly Message[]): string[] => messages.map(({ Body }) => Body ?? '');

test('one receive gives the messages of a group in order, and none more until they are deleted', async () => {
  const queue = await makeQueue();
  await send(queue, ['1', '2', '3']);
  await send(queue, ['x', 'y'], 'other');
  const first = await receive(queue);
  expect(bodies(first).filter((body) => /\d/.test(body))).toEqual(['1', '2', '3']);
  expect(bodies(first).filter((body) => /\D/.test(body))).toEqual(['x', 'y']);
  await send(queue, ['4']);
  const waiting = receive(queue, { wait: 20 });
  for (const { ReceiptHandle } of first) {
    await client.send(new DeleteMessageCommand({ QueueUrl: queue, ReceiptHandle }));
  }
  expect(bodies(await waiting)).toEqual(['4']);
});

test('messages come back in order, given back or after their time', async () => {
  const queue = await makeQueue();
  await send(queue, ['1', '2', '3', '4']);
  const first = await receive(queue);
  await client.send(
    new ChangeMessageVisibilityBatchCommand({
      QueueUrl: queue,
      Entries: first.map(({ ReceiptHandle }, index) => ({
        Id: String(index),
        ReceiptHandle,
        VisibilityTimeout: 0,
      })),
    }),
  );
  expect(bodies(await receive(queue, { visibility: 1 }))).toEqual(['1', '2', '3', '4']);
  expect(bodies(await receive(queue, { wait: 20 }))).toEqual(['1', '2', '3', '4']);
});

test('a client that leaves its long poll takes no message with it', async () => {
  const queue = await makeQueue();
  const waiters = async (): Promise<number> => {
    const response = await fetch(`${server.endpoint}/_fauxqs/queues/${queue.split('/').at(-1)}`);
    return ((await response.json()) as { messages: { inflight: unknown[] } }).messages.inflight.length;
  };
  for (let i = 0; i < 5; i++) {
    const leave = new AbortController();
    const left = receive(queue, { wait: 20, signal: leave.signal });
    // One request more, so that the long poll has arrived.
    await waiters();
    leave.abort();
    await expect(left).rejects.toThrow(/abort/i);
  }
  await send(queue, ['1']);
  expect(bodies(await receive(queue, { wait: 20 }))).toEqual(['1']);
  await until('one message in flight', async () => (await waiters()) === 1);
});

test('past HTTP: a poll that was given up takes nothing, and a queue that is not there is told by name', async () => {
  const url = await makeQueue();
  const queue = server.open(url);
  const options = { maxMessages: 10, waitSeconds: 20, visibilitySeconds: 30 };
  const stop = new AbortController();
  const waiting = expect(queue.receive({ ...options, signal: stop.signal })).rejects.toThrow('stopped');
  stop.abort(new Error('stopped'));
  await waiting;
  await send(url, ['1', '2']);
  const received = await queue.receive({ ...options, signal: new AbortController().signal });
  expect(received.map(({ body, attributes }) => [body, attributes['MessageGroupId']])).toEqual([
    ['1', 'g'],
    ['2', 'g'],
  ]);
  expect(await queue.delete(received.map((message) => message.receiptHandle))).toEqual([]);

  // It has taken messages when it hears that it was given up: they are there for the next one at once, in order.
  await send(url, ['3', '4']);
  const late = new AbortController();
  const given = expect(queue.receive({ ...options, signal: late.signal })).rejects.toThrow('stopped');
  late.abort(new Error('stopped'));
  await given;
  const again = await queue.receive({ ...options, signal: new AbortController().signal });
  expect(again.map(({ body }) => body)).toEqual(['3', '4']);
  expect(await queue.delete(again.map((message) => message.receiptHandle))).toEqual([]);

  expect(await server.list('q')).toContain(url);
  expect(await server.list('other')).toEqual([]);
  await expect(server.open(`${url}x`).delete(['handle'])).rejects.toMatchObject({
    name: 'QueueDoesNotExist',
  });
});
