import {
  type AttributeValue,
  CreateTableCommand,
  DeleteItemCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  waitUntilTableExists,
} from '@aws-sdk/client-dynamodb';
import { PgtwinError } from '../errors/pgtwin-error.ts';
import type { Item, Page, Table } from '../task/table.ts';
import { awsErrorName, awsFailure, type ClientSettings, clientOptions } from './client.ts';

type Stored = Record<string, AttributeValue>;
/** The attribute by which DynamoDB removes items whose time is over; the deployment names it too. */
export const TTL_ATTRIBUTE = 'expires';

/**
 * The table on DynamoDB: attributes `pk` and `sk` (strings), `version` (number), `body` (JSON text). All reads are
 * consistent, all writes concern one item. Throws `table-unavailable`, and `limit-exceeded` for an item over 400 KB.
 */
export function openTable(tableName: string, settings: ClientSettings = {}): Table {
  const client = new DynamoDBClient(clientOptions(settings));
  const at = (pk: string, sk: string) => ({
    TableName: tableName,
    Key: { pk: { S: pk }, sk: { S: sk } },
  });

  const get = async (pk: string, sk: string): Promise<Item | undefined> => {
    try {
      const answer = await client.send(new GetItemCommand({ ...at(pk, sk), ConsistentRead: true }));
      return answer.Item && itemOf(answer.Item);
    } catch (error) {
      throw failure('Reading an item', error);
    }
  };

  const put = async (item: Item, expected: number | 'absent' | 'any'): Promise<boolean> => {
    try {
      await client.send(
        new PutItemCommand({ TableName: tableName, Item: storedOf(item), ...condition(expected) }),
      );
      return true;
    } catch (error) {
      if (awsErrorName(error) !== 'ConditionalCheckFailedException') throw failure('Writing an item', error);
      // The SDK repeats a request whose answer was lost: then it is our own write that stands in the way.
      if (!wasRepeated(error)) return false;
      const stored = await get(item.pk, item.sk);
      return stored !== undefined && isSame(stored, item);
    }
  };

  const query: Table['query'] = async (pk, options = {}): Promise<Page> => {
    const { prefix, limit, after, descending } = options;
    try {
      const answer = await client.send(
        new QueryCommand({
          TableName: tableName,
          ConsistentRead: true,
          KeyConditionExpression: prefix ? 'pk = :pk and begins_with(sk, :prefix)' : 'pk = :pk',
          ExpressionAttributeValues: { ':pk': { S: pk }, ...(prefix ? { ':prefix': { S: prefix } } : {}) },
          ScanIndexForward: !descending,
          ...(limit ? { Limit: limit } : {}),
          ...(after ? { ExclusiveStartKey: at(pk, after).Key } : {}),
        }),
      );
      const items = (answer.Items ?? []).map(itemOf);
      const next = answer.LastEvaluatedKey?.['sk']?.S;
      return next === undefined ? { items } : { items, next };
    } catch (error) {
      throw failure('Reading a partition', error);
    }
  };

  const remove = async (pk: string, sk: string): Promise<void> => {
    try {
      await client.send(new DeleteItemCommand(at(pk, sk)));
    } catch (error) {
      throw failure('Removing an item', error);
    }
  };
  return { get, put, query, remove };
}

/** Makes the table if it is not there and waits until it can be used: local platform and tests only. */
export async function createTableIfMissing(tableName: string, settings: ClientSettings = {}): Promise<void> {
  const client = new DynamoDBClient(clientOptions(settings));
  try {
    await client.send(
      new CreateTableCommand({
        TableName: tableName,
        BillingMode: 'PAY_PER_REQUEST',
        AttributeDefinitions: [
          { AttributeName: 'pk', AttributeType: 'S' },
          { AttributeName: 'sk', AttributeType: 'S' },
        ],
        KeySchema: [
          { AttributeName: 'pk', KeyType: 'HASH' },
          { AttributeName: 'sk', KeyType: 'RANGE' },
        ],
      }),
    );
  } catch (error) {
    if (awsErrorName(error) !== 'ResourceInUseException') throw failure('Creating the table', error);
  }
  try {
    const waiting = { client, maxWaitTime: 60, minDelay: 0.1, maxDelay: 1 };
    await waitUntilTableExists(waiting, { TableName: tableName });
  } catch (error) {
    throw failure('Waiting for the table', error);
  } finally {
    client.destroy();
  }
}

const storedOf = ({ pk, sk, version, body, expires }: Item): Stored => ({
  pk: { S: pk },
  sk: { S: sk },
  version: { N: String(version) },
  body: { S: JSON.stringify(body) },
  ...(expires === undefined ? {} : { [TTL_ATTRIBUTE]: { N: String(expires) } }),
});

function itemOf(stored: Stored): Item {
  const { pk, sk, version, body, [TTL_ATTRIBUTE]: expires } = stored;
  if (!pk?.S || !sk?.S || !version?.N || !body?.S)
    throw new PgtwinError('internal', { detail: 'An item of the table lacks pk, sk, version or body.' });
  const item = { pk: pk.S, sk: sk.S, version: Number(version.N), body: JSON.parse(body.S) as unknown };
  return expires?.N ? { ...item, expires: Number(expires.N) } : item;
}

const isSame = (a: Item, b: Item): boolean =>
  a.version === b.version && JSON.stringify(a.body) === JSON.stringify(b.body);

function condition(expected: number | 'absent' | 'any') {
  if (expected === 'any') return {};
  if (expected === 'absent') return { ConditionExpression: 'attribute_not_exists(pk)' };
  return {
    ConditionExpression: 'version = :expected',
    ExpressionAttributeValues: { ':expected': { N: String(expected) } },
  };
}

const wasRepeated = (error: unknown): boolean =>
  ((error as { $metadata?: { attempts?: number } }).$metadata?.attempts ?? 1) > 1;

function failure(doing: string, error: unknown): PgtwinError {
  if (error instanceof PgtwinError) return error;
  const tooBig = error instanceof Error && /item size/i.test(error.message);
  return awsFailure(tooBig ? 'limit-exceeded' : 'table-unavailable', doing, error);
}
