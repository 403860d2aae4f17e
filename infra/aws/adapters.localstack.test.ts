import { randomUUID } from 'node:crypto';
import {
  LambdaClient,
  ListEventSourceMappingsCommand,
  waitUntilFunctionActiveV2,
} from '@aws-sdk/client-lambda';
import {
  CreateSecretCommand,
  DeleteSecretCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { GetQueueAttributesCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { expect, inject, test } from 'vitest';
import { openDelivery } from '../../shared/aws/delivery.ts';
import { openQueue, openSqsClient } from '../../shared/aws/queue.ts';
import { openSecretStore } from '../../shared/aws/secret.ts';
import { createFunction } from '../../test/support/test-function.ts';
import { until } from '../../test/support/wait.ts';

const aws = {
  endpoint: inject('localstack').endpoint,
  region: 'us-east-1',
  credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
};
const lambda = new LambdaClient(aws);
const sqs = openSqsClient(aws);
const unique = (name: string): string => `${name}${randomUUID().slice(0, 8)}`;

test("a task's queue drives the apply function, and after its removal nothing is left", async () => {
  const prefix = unique('p');
  const functionName = unique('apply-');
  const results = openDelivery({ prefix: `${prefix}r`, aws });
  const { queueUrl: resultsUrl } = await results.ensure('results');
  await createFunction(lambda, {
    name: functionName,
    source: /* ts */ `
      import { openQueue } from '${import.meta.dirname}/../../shared/aws/queue.ts';
      const queue = openQueue();
      export async function handler(event) {
        for (const { messageId, body } of event.Records)
          await queue.send(process.env.RESULTS, { body: 'seen ' + body, group: 'g', deduplication: messageId });
        return { batchItemFailures: [] };
      }`,
    Environment: { Variables: { RESULTS: resultsUrl } },
    Timeout: 30,
  });
  await waitUntilFunctionActiveV2({ client: lambda, maxWaitTime: 60 }, { FunctionName: functionName });

  const delivery = openDelivery({ prefix, applyFunction: functionName, aws });
  const { queueUrl } = await delivery.ensure('pair_f');
  expect(await delivery.ensure('pair_f')).toEqual({ queueUrl });
  const mappings = async () => {
    const page = await lambda.send(new ListEventSourceMappingsCommand({ FunctionName: functionName }));
    return page.EventSourceMappings ?? [];
  };
  expect(await mappings()).toHaveLength(1);
  expect((await mappings())[0]).toMatchObject({
    BatchSize: 10,
    FunctionResponseTypes: ['ReportBatchItemFailures'],
  });
  const asked = new GetQueueAttributesCommand({ QueueUrl: queueUrl, AttributeNames: ['All'] });
  const { Attributes } = await sqs.send(asked);
  expect(Attributes).toMatchObject({
    FifoThroughputLimit: 'perMessageGroupId',
    DeduplicationScope: 'messageGroup',
    MaximumMessageSize: '1048576',
    VisibilityTimeout: '90' /* the function's 30 s and a minute */,
  });

  await openQueue(aws).send(queueUrl, { body: 'one', group: 'g', deduplication: '1' });
  const seen = await until('the function has handled the message', async () => {
    const answer = await sqs.send(new ReceiveMessageCommand({ QueueUrl: resultsUrl, WaitTimeSeconds: 1 }));
    return answer.Messages?.[0]?.Body;
  });
  expect(seen).toBe('seen one');

  await delivery.remove('pair_f');
  await delivery.remove('pair_f');
  expect(await mappings()).toEqual([]);
  await expect(sqs.send(asked)).rejects.toThrow();
  // The same task may begin again at once.
  await delivery.ensure('pair_f');
  expect(await mappings()).toHaveLength(1);
  await delivery.remove('pair_f');
  await results.remove('results');
});

test('passwords in Secrets Manager: made, replaced, removed, and those of a user left alone', async () => {
  const store = openSecretStore('secrets-manager', aws);
  const name = unique('pair-');
  const reference = await store.put(name, 'first');
  expect(reference).toMatch(new RegExp(`^arn:aws:secretsmanager:.*:secret:pgtwin/${name}`));
  expect(await store.get(reference)).toBe('first');
  expect(await store.put(name, 'second')).toBe(reference);
  expect(await store.get(reference)).toBe('second');
  await store.remove(reference);
  await store.remove(reference);
  await expect(store.get(reference)).rejects.toMatchObject({ code: 'secret-unavailable' });

  const manager = new SecretsManagerClient(aws);
  const own = await manager.send(new CreateSecretCommand({ Name: unique('own-'), SecretString: 'mine' }));
  await store.remove(own.ARN!);
  expect(await store.get(own.ARN!)).toBe('mine');

  // Removed by hand with the usual recovery window: the name is taken, but the secret can not be read.
  const again = await store.put(name, 'third');
  await manager.send(new DeleteSecretCommand({ SecretId: again, RecoveryWindowInDays: 7 }));
  expect(await store.put(name, 'fourth')).toBe(again);
  expect(await store.get(again)).toBe('fourth');
  await store.remove(again);
  await manager.send(new DeleteSecretCommand({ SecretId: own.ARN!, ForceDeleteWithoutRecovery: true }));
});
