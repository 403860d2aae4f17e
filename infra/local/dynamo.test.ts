import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateTableCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  waitUntilTableExists,
} from '@aws-sdk/client-dynamodb';
import { expect, onTestFinished, test } from 'vitest';
import { startTableServer } from './dynamo.ts';
import type { LocalService } from './worker-service.ts';

const TableName = 'pgtwin';
const clientOf = ({ endpoint }: LocalService): DynamoDBClient => {
  const client = new DynamoDBClient({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
  onTestFinished(() => client.destroy());
  return client;
};
async function makeTable(client: DynamoDBClient): Promise<void> {
  await client.send(
    new CreateTableCommand({
      TableName,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    }),
  );
  await waitUntilTableExists({ client, maxWaitTime: 10, minDelay: 1 }, { TableName });
}

test('tables in a folder outlive the server, with conditions kept', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pgtwin-table-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const dataDir = join(folder, 'data');
  const first = await startTableServer({ dataDir });
  await makeTable(clientOf(first));
  const item = { id: { S: 'a' }, fence: { N: '1' } };
  const condition = { ConditionExpression: 'attribute_not_exists(id)' };
  await clientOf(first).send(new PutItemCommand({ TableName, Item: item, ...condition }));
  await first.stop();

  const second = await startTableServer({ dataDir });
  onTestFinished(() => second.stop());
  const client = clientOf(second);
  expect((await client.send(new GetItemCommand({ TableName, Key: { id: { S: 'a' } } }))).Item).toEqual(item);
  await expect(
    client.send(new PutItemCommand({ TableName, Item: item, ...condition })),
  ).rejects.toMatchObject({
    name: 'ConditionalCheckFailedException',
  });
});

test('without a folder it starts empty, and two do not share', async () => {
  const servers = await Promise.all([startTableServer(), startTableServer()]);
  onTestFinished(async () => {
    await Promise.all(servers.map((server) => server.stop()));
  });
  await makeTable(clientOf(servers[0]));
  const get = new GetItemCommand({ TableName, Key: { id: { S: 'a' } } });
  expect((await clientOf(servers[0]).send(get)).Item).toBeUndefined();
  await expect(clientOf(servers[1]).send(get)).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
});
