import type { SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';

/** A received message, in the words of the SQS API. */
export type ReceivedMessage = {
  readonly messageId: string;
  readonly receiptHandle: string;
  readonly body: string;
  readonly md5OfBody: string;
  /** System attributes: MessageGroupId, SequenceNumber, ApproximateReceiveCount, ... */
  readonly attributes: Readonly<Record<string, string>>;
  readonly messageAttributes: Readonly<
    Record<
      string,
      {
        readonly DataType?: string | undefined;
        readonly StringValue?: string | undefined;
        readonly BinaryValue?: Uint8Array | undefined;
      }
    >
  >;
};

/** What is done one after the other: the messages of one group (all, on a standard queue), cut into invocations. */
export type Run = {
  readonly group: string | undefined;
  readonly invocations: readonly (readonly ReceivedMessage[])[];
};

/** Lambda's limit for the event of one invocation. */
const maxEventBytes = 6 * 1024 * 1024;
/** What a record has around its body, generously. */
const recordBytes = 1024;

/** Sorts what one receive gave into runs; the order within a group is kept. */
export function runsOf(messages: readonly ReceivedMessage[], fifo: boolean): Run[] {
  const groups = new Map<string | undefined, ReceivedMessage[]>();
  for (const message of messages) {
    const group = fifo ? message.attributes['MessageGroupId'] : undefined;
    const ofGroup = groups.get(group);
    if (ofGroup) ofGroup.push(message);
    else groups.set(group, [message]);
  }
  return [...groups].map(([group, ofGroup]) => ({ group, invocations: cutBySize(ofGroup) }));
}

function cutBySize(messages: readonly ReceivedMessage[]): ReceivedMessage[][] {
  const parts: ReceivedMessage[][] = [];
  let room = 0;
  for (const message of messages) {
    const size = message.body.length + recordBytes;
    if (size > room || parts.length === 0) {
      parts.push([]);
      room = maxEventBytes;
    }
    parts.at(-1)?.push(message);
    room -= size;
  }
  return parts;
}

/** The event that Lambda makes of messages ("Using Lambda with Amazon SQS" in its developer guide). */
export function eventOf(messages: readonly ReceivedMessage[], queueArn: string): SQSEvent {
  const awsRegion = queueArn.split(':')[3] ?? '';
  return {
    Records: messages.map((message) => ({
      messageId: message.messageId,
      receiptHandle: message.receiptHandle,
      body: message.body,
      attributes: message.attributes as unknown as SQSRecord['attributes'],
      messageAttributes: Object.fromEntries(
        Object.entries(message.messageAttributes).map(([name, { DataType, StringValue, BinaryValue }]) => [
          name,
          {
            dataType: DataType ?? 'String',
            ...(StringValue === undefined ? {} : { stringValue: StringValue }),
            ...(BinaryValue === undefined
              ? {}
              : { binaryValue: Buffer.from(BinaryValue).toString('base64') }),
            stringListValues: [],
            binaryListValues: [],
          },
        ]),
      ),
      md5OfBody: message.md5OfBody,
      eventSource: 'aws:sqs',
      eventSourceARN: queueArn,
      awsRegion,
    })),
  };
}

/**
 * Which messages failed, by `ReportBatchItemFailures`: no answer, null, or an empty or null list means that all
 * succeeded; an identifier that is empty, missing or unknown, or an answer of another shape, that all failed.
 */
export function failuresOf(
  // biome-ignore lint/suspicious/noConfusingVoidType: the type that a Lambda handler has
  response: SQSBatchResponse | null | undefined | void,
  messages: readonly ReceivedMessage[],
): readonly ReceivedMessage[] {
  if (response === null || response === undefined) return [];
  if (typeof response !== 'object') return messages;
  const items: unknown = response.batchItemFailures;
  if (items === null || items === undefined) return [];
  if (!Array.isArray(items)) return messages;
  const failed = new Set(items.map((item: { itemIdentifier?: unknown } | null) => item?.itemIdentifier));
  const known = messages.filter(({ messageId }) => failed.has(messageId));
  return known.length === failed.size ? known : messages;
}
