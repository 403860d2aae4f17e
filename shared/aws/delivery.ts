import { setTimeout as wait } from 'node:timers/promises';
import {
  CreateQueueCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  type QueueAttributeName,
  SetQueueAttributesCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { PgtwinError } from '../errors/pgtwin-error.ts';
import type { Delivery } from '../task/ports.ts';
import { awsErrorName, awsFailure, type ClientSettings } from './client.ts';
import { type Mapping, openMapping } from './mapping.ts';
import { openSqsClient } from './queue.ts';

/** The longest that one apply invocation may run, unless a deployment says otherwise: Lambda's own limit. */
export const APPLY_TIMEOUT_SECONDS = 900;
/** A message is hidden for this much longer, or two invocations of one group overlap without need. */
const VISIBLE_AFTER_SECONDS = 60;
const RETENTION_SECONDS = 14 * 24 * 3600;
/** The most that SQS takes: a message goes to the dead-letter queue only if it can never be read. */
const RECEIVES = 1000;
const BODY_BYTES = 1_048_576;
/** SQS refuses a name for 60 s after its queue was deleted. */
const RECENTLY_DELETED_MS = 75_000;
const STEP_MS = 5_000;

type Attributes = Partial<Record<QueueAttributeName, string>>;
export type DeliverySettings = {
  readonly prefix: string;
  /** Name or ARN of the apply function; without it no mapping is made (the local platform polls by itself). */
  readonly applyFunction?: string | undefined;
  readonly aws?: ClientSettings;
  readonly sleep?: (ms: number) => Promise<unknown>;
};

/**
 * A task's queue `<prefix>-<taskId>.fifo`, its dead-letter queue `<prefix>-<taskId>-dead.fifo` and the mapping from
 * the queue to the apply function. Throws `queue-unavailable` and `function-failed`.
 */
export function openDelivery(settings: DeliverySettings): Delivery {
  const { prefix, applyFunction, sleep = wait } = settings;
  const sqs = openSqsClient(settings.aws);
  const mapping: Mapping | undefined = applyFunction
    ? openMapping({ functionName: applyFunction, aws: settings.aws ?? {}, sleep })
    : undefined;
  const names = (taskId: string) => ({
    queue: `${prefix}-${taskId}.fifo`,
    dead: `${prefix}-${taskId}-dead.fifo`,
  });

  return {
    async ensure(taskId) {
      const { queue, dead } = names(taskId);
      return orUnavailable(`Creating queue ${queue}`, async () => {
        const timeoutSeconds = (await mapping?.timeoutSeconds()) || APPLY_TIMEOUT_SECONDS;
        const common = attributesOf(timeoutSeconds + VISIBLE_AFTER_SECONDS);
        const deadUrl = await ensureQueue(sqs, dead, common, sleep);
        const RedrivePolicy = JSON.stringify({
          deadLetterTargetArn: await arnOf(sqs, deadUrl),
          maxReceiveCount: RECEIVES,
        });
        const queueUrl = await ensureQueue(sqs, queue, { ...common, RedrivePolicy }, sleep);
        await mapping?.ensure(await arnOf(sqs, queueUrl));
        return { queueUrl };
      });
    },
    async remove(taskId) {
      const { queue, dead } = names(taskId);
      await orUnavailable(`Removing queue ${queue}`, async () => {
        // The mapping first: without its queue it would go on polling and failing.
        await mapping?.remove(queue);
        for (const name of [queue, dead]) {
          const url = await urlOf(sqs, name);
          if (url) await sqs.send(new DeleteQueueCommand({ QueueUrl: url })).catch(unlessMissing);
        }
      });
    },
    async depth(taskId) {
      const { queue, dead } = names(taskId);
      return orUnavailable(`Reading queue ${queue}`, async () => ({
        waiting: await countOf(sqs, queue),
        dead: await countOf(sqs, dead),
      }));
    },
  };
}

/** Fixed when a queue is made. High-throughput FIFO: limits count per message group. */
const fixedAttributes: Attributes = {
  FifoQueue: 'true',
  DeduplicationScope: 'messageGroup',
  FifoThroughputLimit: 'perMessageGroupId',
};

/** Set anew on a queue that is there, so that a new version's values reach it. */
const attributesOf = (visibilitySeconds: number): Attributes => ({
  MessageRetentionPeriod: String(RETENTION_SECONDS),
  VisibilityTimeout: String(visibilitySeconds),
  MaximumMessageSize: String(BODY_BYTES),
});

async function ensureQueue(
  sqs: SQSClient,
  name: string,
  attributes: Attributes,
  sleep: (ms: number) => Promise<unknown>,
): Promise<string> {
  for (let waitedMs = 0; ; waitedMs += STEP_MS) {
    const existing = await urlOf(sqs, name);
    if (existing) {
      await sqs.send(new SetQueueAttributesCommand({ QueueUrl: existing, Attributes: attributes }));
      return existing;
    }
    try {
      const whole = { QueueName: name, Attributes: { ...attributes, ...fixedAttributes } };
      const created = await sqs.send(new CreateQueueCommand(whole));
      if (created.QueueUrl) return created.QueueUrl;
    } catch (error) {
      const again = /QueueDeletedRecently|QueueNameExists|QueueAlreadyExists/.test(awsErrorName(error));
      if (!again || waitedMs >= RECENTLY_DELETED_MS) throw error;
    }
    await sleep(STEP_MS);
  }
}

async function urlOf(sqs: SQSClient, name: string): Promise<string | undefined> {
  const answer = await sqs.send(new GetQueueUrlCommand({ QueueName: name })).catch(unlessMissing);
  return answer?.QueueUrl;
}

async function arnOf(sqs: SQSClient, url: string): Promise<string> {
  const answer = await sqs.send(
    new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['QueueArn'] }),
  );
  const arn = answer.Attributes?.QueueArn;
  if (!arn) throw new PgtwinError('queue-unavailable', { detail: 'SQS gave no ARN for a queue.' });
  return arn;
}

async function countOf(sqs: SQSClient, name: string): Promise<number> {
  const url = await urlOf(sqs, name);
  if (!url) return 0;
  const names = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'] as const;
  const asked = new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: [...names] });
  const answer = await sqs.send(asked).catch(unlessMissing);
  return names.reduce((sum, n) => sum + Number(answer?.Attributes?.[n] ?? 0), 0);
}

/** A queue that is not there is fine: one that is deleted is listed for a while. */
function unlessMissing(error: unknown): undefined {
  if (/QueueDoesNotExist|NonExistentQueue/.test(awsErrorName(error))) return undefined;
  throw error;
}

async function orUnavailable<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof PgtwinError) throw error;
    throw awsFailure('queue-unavailable', doing, error);
  }
}
