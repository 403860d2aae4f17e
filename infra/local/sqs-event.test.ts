import type { SQSBatchResponse } from 'aws-lambda';
import { expect, test } from 'vitest';
import { eventOf, failuresOf, type ReceivedMessage, runsOf } from './sqs-event.ts';

const message = (messageId: string, group = 'g', body = messageId): ReceivedMessage => ({
  messageId,
  receiptHandle: `handle-${messageId}`,
  body,
  md5OfBody: 'digest',
  attributes: { MessageGroupId: group, SequenceNumber: '7', ApproximateReceiveCount: '1' },
  messageAttributes: {},
});
const ids = (messages: readonly ReceivedMessage[]): string[] => messages.map(({ messageId }) => messageId);

test('a receive becomes one run per group, in order; on a standard queue one run', () => {
  const messages = [message('1', 'g'), message('2', 'h'), message('3', 'g')];
  expect(runsOf(messages, true).map(({ group, invocations }) => [group, invocations.map(ids)])).toEqual([
    ['g', [['1', '3']]],
    ['h', [['2']]],
  ]);
  expect(runsOf(messages, false).map(({ invocations }) => invocations.map(ids))).toEqual([[['1', '2', '3']]]);
});

test('no event exceeds 6 MB', () => {
  const megabyte = 'x'.repeat(1024 * 1024);
  const messages = Array.from({ length: 10 }, (_, index) => message(String(index), 'g', megabyte));
  const [run] = runsOf(messages, true);
  expect(run?.invocations.map((part) => part.length)).toEqual([5, 5]);
  for (const part of run?.invocations ?? []) {
    expect(JSON.stringify(eventOf(part, 'arn:aws:sqs:eu-central-1:0:q.fifo')).length).toBeLessThan(
      6 * 1024 * 1024,
    );
  }
});

test('a record is what Lambda makes of a message', () => {
  const [record] = eventOf(
    [
      {
        ...message('1'),
        messageAttributes: {
          kind: { DataType: 'String', StringValue: 'x' },
          raw: { DataType: 'Binary', BinaryValue: Buffer.from([255, 0]) },
        },
      },
    ],
    'arn:aws:sqs:eu-central-1:000000000000:q.fifo',
  ).Records;
  expect(record).toEqual({
    messageId: '1',
    receiptHandle: 'handle-1',
    body: '1',
    md5OfBody: 'digest',
    attributes: { MessageGroupId: 'g', SequenceNumber: '7', ApproximateReceiveCount: '1' },
    messageAttributes: {
      kind: { dataType: 'String', stringValue: 'x', stringListValues: [], binaryListValues: [] },
      raw: { dataType: 'Binary', binaryValue: '/wA=', stringListValues: [], binaryListValues: [] },
    },
    eventSource: 'aws:sqs',
    eventSourceARN: 'arn:aws:sqs:eu-central-1:000000000000:q.fifo',
    awsRegion: 'eu-central-1',
  });
});

const messages = [message('1'), message('2'), message('3')];
const answer = (value: unknown): string[] => ids(failuresOf(value as SQSBatchResponse, messages));
const item = (itemIdentifier: unknown) => ({ itemIdentifier });

test.for([undefined, null, {}, { batchItemFailures: null }, { batchItemFailures: [] }])(
  'all succeeded: %j',
  (value) => expect(answer(value)).toEqual([]),
);

test('some failed, also if named twice', () => {
  expect(answer({ batchItemFailures: [item('3'), item('2'), item('3')] })).toEqual(['2', '3']);
});

test.for([
  'text',
  { batchItemFailures: 'text' },
  { batchItemFailures: [item('')] },
  { batchItemFailures: [item(null)] },
  { batchItemFailures: [null] },
  { batchItemFailures: [{ identifier: '1' }] },
  { batchItemFailures: [item('1'), item('unknown')] },
])('all failed: %j', (value) => expect(answer(value)).toEqual(['1', '2', '3']));
