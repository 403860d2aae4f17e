import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import type { SqsPort } from './event-source.ts';

export type SqsPortOptions = {
  /** Of the queue server or of LocalStack; default: AWS. */
  readonly endpoint?: string;
  readonly region?: string;
  readonly queueUrl: string;
};

/** An SQS client for a local endpoint, which takes any credentials. */
export const localSqsClient = ({
  endpoint,
  region = 'us-east-1',
}: Omit<SqsPortOptions, 'queueUrl'>): SQSClient =>
  new SQSClient({
    region,
    ...(endpoint ? { endpoint, credentials: { accessKeyId: 'local', secretAccessKey: 'local' } } : {}),
    // The loopback interface does not change bytes, and a digest of 1 MB costs more than the request.
    md5: false,
  });

/** The operations an event source needs, on one queue. */
export function openSqsPort(options: SqsPortOptions): SqsPort & { close(): void } {
  const client = localSqsClient(options);
  const QueueUrl = options.queueUrl;
  return {
    async receive({ maxMessages, waitSeconds, visibilitySeconds, signal }) {
      const { Messages = [] } = await client.send(
        new ReceiveMessageCommand({
          QueueUrl,
          MaxNumberOfMessages: maxMessages,
          WaitTimeSeconds: waitSeconds,
          VisibilityTimeout: visibilitySeconds,
          MessageSystemAttributeNames: ['All'],
          MessageAttributeNames: ['All'],
        }),
        { abortSignal: signal },
      );
      return Messages.map((message) => ({
        messageId: message.MessageId ?? '',
        receiptHandle: message.ReceiptHandle ?? '',
        body: message.Body ?? '',
        md5OfBody: message.MD5OfBody ?? '',
        attributes: { ...message.Attributes },
        messageAttributes: { ...message.MessageAttributes },
      }));
    },
    async delete(receiptHandles) {
      const Entries = receiptHandles.map((ReceiptHandle, index) => ({ Id: String(index), ReceiptHandle }));
      const { Failed = [] } = await client.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }));
      return Failed.map(({ Id }) => receiptHandles[Number(Id)] ?? '');
    },
    async changeVisibility(receiptHandles, seconds) {
      const Entries = receiptHandles.map((ReceiptHandle, index) => ({
        Id: String(index),
        ReceiptHandle,
        VisibilityTimeout: seconds,
      }));
      await client.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl, Entries }));
    },
    close: () => client.destroy(),
  };
}
