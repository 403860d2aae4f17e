import { randomUUID } from 'node:crypto';
import { CloudWatchLogsClient, FilterLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs';
import { CreateTableCommand, DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import {
  CreateEventSourceMappingCommand,
  CreateFunctionUrlConfigCommand,
  InvokeCommand,
  LambdaClient,
} from '@aws-sdk/client-lambda';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import {
  CreateSecretCommand,
  GetSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import {
  CreateQueueCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { expect, inject, test } from 'vitest';
import { createFunction } from '../test/support/test-function.ts';
import { until } from '../test/support/wait.ts';
import { openFunctionUrl } from './function-url.ts';

const { endpoint } = inject('localstack');
const client = {
  endpoint,
  region: 'us-east-1',
  credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
};
const lambda = new LambdaClient(client);
const sqs = new SQSClient(client);
const unique = (name: string): string => `${name}-${randomUUID().slice(0, 8)}`;

async function createQueue(name: string, attributes: Record<string, string> = {}) {
  const { QueueUrl = '' } = await sqs.send(
    new CreateQueueCommand({ QueueName: name, Attributes: attributes }),
  );
  return { url: QueueUrl, arn: `arn:aws:sqs:us-east-1:000000000000:${name}` };
}

async function invoke(
  name: string,
  payload: unknown = {},
): Promise<{ error: string | undefined; result: unknown }> {
  const answer = await lambda.send(
    new InvokeCommand({ FunctionName: name, Payload: JSON.stringify(payload) }),
  );
  return { error: answer.FunctionError, result: JSON.parse(answer.Payload?.transformToString() ?? 'null') };
}

test('a FIFO queue drives a function: what it reports as failed comes again in order, and its lines are in the logs', async () => {
  const name = unique('fifo');
  const source = await createQueue(`${name}.fifo`, { FifoQueue: 'true', VisibilityTimeout: '1' });
  const results = await createQueue(`${name}-results`);
  const handler = /* ts */ `
    import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
    const sqs = new SQSClient(); // finds LocalStack by the environment alone
    export async function handler(event) {
      let failed = false;
      const failures = [];
      for (const { messageId, body, attributes } of event.Records) {
        failed ||= body === 'bad' && attributes.ApproximateReceiveCount === '1';
        console.log((failed ? 'failed ' : 'handled ') + body);
        if (failed) failures.push({ itemIdentifier: messageId });
        else await sqs.send(new SendMessageCommand({ QueueUrl: process.env.RESULTS, MessageBody: body }));
      }
      return { batchItemFailures: failures };
    }`;
  const Environment = { Variables: { RESULTS: results.url } };
  await createFunction(lambda, { name, source: handler, Environment });
  await lambda.send(
    new CreateEventSourceMappingCommand({
      FunctionName: name,
      EventSourceArn: source.arn,
      BatchSize: 10,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
    }),
  );
  const bodies = ['first', 'bad', 'last'];
  await sqs.send(
    new SendMessageBatchCommand({
      QueueUrl: source.url,
      Entries: bodies.map((body) => ({
        Id: body,
        MessageBody: body,
        MessageGroupId: 'one',
        MessageDeduplicationId: body,
      })),
    }),
  );

  const handled: string[] = [];
  await until('three handled messages', async (saw) => {
    const received = await sqs.send(
      new ReceiveMessageCommand({ QueueUrl: results.url, MaxNumberOfMessages: 10, WaitTimeSeconds: 1 }),
    );
    for (const message of received.Messages ?? []) handled.push(message.Body ?? '');
    saw(handled);
    return handled.length >= bodies.length;
  });
  expect(handled).toEqual(bodies);

  const logs = new CloudWatchLogsClient(client);
  const lines = await until(
    'the log lines of both invocations',
    async (saw) => {
      const found = await logs.send(new FilterLogEventsCommand({ logGroupName: `/aws/lambda/${name}` }));
      const text = (found.events ?? []).map(({ message }) => message?.trimEnd() ?? '');
      saw(text);
      return text.filter((line) => line.startsWith('REPORT')).length >= 2 && text;
    },
    { tolerateErrors: true },
  );
  const ofHandler = lines.flatMap((line) => /(?:handled|failed) \w+$/.exec(line)?.[0] ?? []);
  expect(ofHandler).toEqual(['handled first', 'failed bad', 'failed last', 'handled bad', 'handled last']);
});

test('invocations at the same time run in processes of their own', async () => {
  const name = unique('parallel');
  const handler = /* ts */ `
    const env = randomId();
    function randomId() { return Math.random().toString(36).slice(2); }
    export const handler = () => new Promise((done) => setTimeout(() => done(env), 500));`;
  await createFunction(lambda, { name, source: handler });
  const answers = await Promise.all([1, 2, 3].map(() => invoke(name)));
  expect(new Set(answers.map(({ result }) => result)).size).toBe(3);
});

test('a function that exits, hangs or blocks gives an error at once, and the next invocation is served', async () => {
  const name = unique('trouble');
  const handler = /* ts */ `
    export const handler = ({ what }) => {
      if (what === 'exit') process.exit(3);
      if (what === 'throw') setTimeout(() => { throw new Error('from a timer'); }, 10);
      if (what === 'block') for (;;);
      return what === 'fine' ? 'served' : new Promise((resolve) => setTimeout(resolve, 60_000));
    };`;
  await createFunction(lambda, { name, source: handler, Timeout: 2 });
  for (const what of ['exit', 'throw', 'hang', 'block']) {
    expect(await invoke(name, { what }), what).toMatchObject({
      error: expect.any(String),
      result: { errorMessage: expect.any(String) },
    });
    expect(await invoke(name, { what: 'fine' }), `after ${what}`).toEqual({
      error: undefined,
      result: 'served',
    });
  }
});

test('a function is called through its URL', async () => {
  const name = unique('url');
  const handler = /* ts */ `
    export const handler = async ({ rawPath, rawQueryString, headers, body }) => ({
      statusCode: 201,
      headers: { 'content-type': 'application/problem+json' },
      body: [rawPath, rawQueryString, headers.authorization, body].join(' '),
    });`;
  await createFunction(lambda, { name, source: handler });
  const { FunctionUrl = '' } = await lambda.send(
    new CreateFunctionUrlConfigCommand({ FunctionName: name, AuthType: 'NONE' }),
  );
  const opened = await openFunctionUrl(endpoint, FunctionUrl);
  try {
    const headers = { authorization: 'Bearer token' };
    const answer = await fetch(`${opened.url}/pairs?limit=1`, { method: 'POST', body: 'hello', headers });
    expect(answer.status).toBe(201);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(await answer.text()).toBe('/pairs limit=1 Bearer token hello');
  } finally {
    await opened.close();
  }
});

test('DynamoDB refuses a conditional write whose condition does not hold', async () => {
  const dynamodb = new DynamoDBClient(client);
  const TableName = unique('table');
  await dynamodb.send(
    new CreateTableCommand({
      TableName,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    }),
  );
  const put = new PutItemCommand({
    TableName,
    Item: { id: { S: 'lease' } },
    ConditionExpression: 'attribute_not_exists(id)',
  });
  await dynamodb.send(put);
  await expect(dynamodb.send(put)).rejects.toThrow(
    expect.objectContaining({ name: 'ConditionalCheckFailedException' }),
  );
});

test('S3 gives back what was put', async () => {
  const s3 = new S3Client(client);
  const Bucket = unique('bucket');
  const Body = Buffer.alloc(100_000, 'wal');
  await s3.send(new CreateBucketCommand({ Bucket }));
  await s3.send(new PutObjectCommand({ Bucket, Key: 'parts/1', Body }));
  const got = await s3.send(new GetObjectCommand({ Bucket, Key: 'parts/1' }));
  expect(Buffer.from((await got.Body?.transformToByteArray()) ?? []).equals(Body)).toBe(true);
});

test('Secrets Manager keeps a secret', async () => {
  const secrets = new SecretsManagerClient(client);
  const Name = unique('secret');
  await secrets.send(new CreateSecretCommand({ Name, SecretString: 'quiet' }));
  const { SecretString } = await secrets.send(new GetSecretValueCommand({ SecretId: Name }));
  expect(SecretString).toBe('quiet');
});
