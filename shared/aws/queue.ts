import {
  ChangeMessageVisibilityBatchCommand,
  GetQueueUrlCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { PgtwinError } from '../errors/pgtwin-error.ts';
import type { Queue, WorkQueue } from '../task/ports.ts';
import { awsFailure, type ClientSettings, clientOptions } from './client.ts';

/** Limits of one SendMessageBatch, and of one message: 1 MiB of body in all. */
const BATCH_ENTRIES = 10;
const BATCH_BYTES = 1_048_576;
const BATCH_TRIES = 5;

/** A client of SQS. MD5 sums are not computed: TLS guards the way, and a message carries its own hash. */
export const openSqsClient = (settings: ClientSettings = {}): SQSClient =>
  // The configured address counts, not the host in a queue's URL, which an emulator may not resolve.
  new SQSClient({ ...clientOptions(settings), md5: false, useQueueUrlAsEndpoint: false });

/**
 * The queues on SQS. The SDK repeats a failed send with the same deduplication id, so a message whose answer was
 * lost is not in the queue twice. Throws `queue-unavailable`.
 */
export function openQueue(settings: ClientSettings = {}): Queue & WorkQueue {
  const client = openSqsClient(settings);
  return {
    async send(url, { body, group, deduplication }) {
      try {
        await client.send(
          new SendMessageCommand({
            QueueUrl: url,
            MessageBody: body,
            MessageGroupId: group,
            MessageDeduplicationId: deduplication,
          }),
        );
      } catch (error) {
        throw awsFailure('queue-unavailable', 'Sending a message', error);
      }
    },
    async sendWork(url, bodies) {
      for (const batch of batches(bodies)) await sendBatch(client, url, batch);
    },
  };
}

/** Sends all of a batch; entries that SQS refused (throttled) go again. A work message may so arrive twice. */
async function sendBatch(client: SQSClient, url: string, bodies: readonly string[]): Promise<void> {
  let left = bodies;
  for (let attempt = 0; attempt < BATCH_TRIES && left.length > 0; attempt++) {
    try {
      const Entries = left.map((MessageBody, n) => ({ Id: String(n), MessageBody }));
      const answer = await client.send(new SendMessageBatchCommand({ QueueUrl: url, Entries }));
      const refused = new Set((answer.Failed ?? []).map((f) => Number(f.Id)));
      left = left.filter((_, n) => refused.has(n));
    } catch (error) {
      throw awsFailure('queue-unavailable', 'Sending work', error);
    }
  }
  if (left.length > 0)
    throw new PgtwinError('queue-unavailable', {
      detail: `SQS refused ${left.length} work messages ${BATCH_TRIES} times.`,
    });
}

/** Cuts bodies into batches within SQS's limits, in order. */
export function batches(bodies: readonly string[]): string[][] {
  const all: string[][] = [];
  let current: string[] = [];
  let bytes = 0;
  for (const body of bodies) {
    const size = Buffer.byteLength(body);
    if (current.length === BATCH_ENTRIES || (current.length > 0 && bytes + size > BATCH_BYTES)) {
      all.push(current);
      current = [];
      bytes = 0;
    }
    current.push(body);
    bytes += size;
  }
  if (current.length > 0) all.push(current);
  return all;
}

/** A received message whose visibility is changed: the queue's ARN (as Lambda's event has it) and its handle. */
export type ReceivedRecord = { readonly eventSourceARN: string; readonly receiptHandle: string };

/** Makes messages visible again after some seconds. Throws `queue-unavailable`. */
export function openVisibility(settings: ClientSettings = {}) {
  const client = openSqsClient(settings);
  const urls = new Map<string, string>();
  return async (records: readonly ReceivedRecord[], seconds: number): Promise<void> => {
    const arn = records[0]?.eventSourceARN;
    if (!arn) return;
    try {
      let url = urls.get(arn);
      if (!url) {
        const found = await client.send(new GetQueueUrlCommand({ QueueName: arn.split(':').at(-1) }));
        url = found.QueueUrl ?? '';
        urls.set(arn, url);
      }
      const Entries = records.map((record, n) => ({
        Id: String(n),
        ReceiptHandle: record.receiptHandle,
        VisibilityTimeout: seconds,
      }));
      await client.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl: url, Entries }));
    } catch (error) {
      throw awsFailure('queue-unavailable', 'Changing the visibility of messages', error);
    }
  };
}
