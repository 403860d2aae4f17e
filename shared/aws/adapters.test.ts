import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import type { Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { type FauxqsServer, startFauxqs } from 'fauxqs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openBlobStore } from './blob.ts';
import { openDelivery } from './delivery.ts';
import { batches, openQueue, openSqsClient } from './queue.ts';
import { openSecretStore } from './secret.ts';
import { createTableIfMissing, openTable } from './table.ts';

const identity = {
  region: 'eu-central-1',
  credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
};
const dynalite = createRequire(import.meta.url)('dynalite') as (options: object) => Server;

describe('the table on DynamoDB', () => {
  const server = dynalite({ createTableMs: 0 });
  const aws = () => ({
    ...identity,
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  });
  beforeAll(async () => {
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', () => listening()));
    await createTableIfMissing('pgtwin', aws());
    await createTableIfMissing('pgtwin', aws());
  });
  afterAll(() => new Promise((closed) => server.close(closed)));

  test('gives back what was put, bodies of any JSON', async () => {
    const table = openTable('pgtwin', aws());
    const item = { pk: 'p', sk: 's', version: 1, body: { text: 'ä"\\', list: [1, null, true] } };
    expect(await table.get('p', 's')).toBeUndefined();
    expect(await table.put(item, 'absent')).toBe(true);
    expect(await table.get('p', 's')).toEqual(item);
    await table.remove('p', 's');
    await table.remove('p', 's');
    expect(await table.get('p', 's')).toBeUndefined();
  });

  test('a put on another version than the stored one writes nothing', async () => {
    const table = openTable('pgtwin', aws());
    const item = (version: number) => ({ pk: 'c', sk: 's', version, body: version });
    expect(await table.put(item(1), 3)).toBe(false);
    expect(await table.put(item(1), 'absent')).toBe(true);
    expect(await table.put(item(9), 'absent')).toBe(false);
    expect(await table.put(item(2), 1)).toBe(true);
    expect(await table.put(item(9), 1)).toBe(false);
    expect(await table.get('c', 's')).toEqual(item(2));
    expect(await table.put(item(7), 'any')).toBe(true);
    expect((await table.get('c', 's'))?.version).toBe(7);
  });

  test('of many writers of one version, one wins', async () => {
    const table = openTable('pgtwin', aws());
    await table.put({ pk: 'r', sk: 's', version: 1, body: 0 }, 'absent');
    const racing = Array.from({ length: 20 }, (_, n) =>
      table.put({ pk: 'r', sk: 's', version: 2, body: n }, 1),
    );
    const won = await Promise.all(racing);
    expect(won.filter(Boolean)).toHaveLength(1);
    expect((await table.get('r', 's'))?.body).toBe(won.indexOf(true));
  });

  test('pages through a partition in order, by prefix, and backwards', async () => {
    const table = openTable('pgtwin', aws());
    for (const sk of ['event#1', 'event#2', 'event#3', 'status'])
      await table.put({ pk: 'q', sk, version: 1, body: sk }, 'any');
    const first = await table.query('q', { limit: 2 });
    expect(first.items.map((i) => i.sk)).toEqual(['event#1', 'event#2']);
    const rest = await table.query('q', { after: first.next! });
    expect(rest.items.map((i) => i.sk)).toEqual(['event#3', 'status']);
    expect(rest.next).toBeUndefined();
    const events = await table.query('q', { prefix: 'event#', descending: true });
    expect(events.items.map((i) => i.sk)).toEqual(['event#3', 'event#2', 'event#1']);
    expect((await table.query('nothing')).items).toEqual([]);
  });

  test('a table that is not there is table-unavailable, an item that is too big limit-exceeded', async () => {
    const missing = openTable('other', aws());
    await expect(missing.get('a', 'b')).rejects.toMatchObject({
      code: 'table-unavailable',
      facts: { awsError: 'ResourceNotFoundException' },
    });
    const big = { pk: 'b', sk: 's', version: 1, body: 'x'.repeat(500_000) };
    await expect(openTable('pgtwin', aws()).put(big, 'any')).rejects.toMatchObject({
      code: 'limit-exceeded',
    });
  });
});

describe('queues and parts', () => {
  let server: FauxqsServer;
  const aws = () => ({ ...identity, endpoint: `http://127.0.0.1:${server.port}` });
  beforeAll(async () => {
    server = await startFauxqs({ port: 0, logger: false });
    server.createBucket('parts');
  });
  afterAll(() => server.stop());

  test('a task has its queue with a dead-letter queue, made once and removed without a trace', async () => {
    const delivery = openDelivery({ prefix: 'twin', aws: aws() });
    const { queueUrl } = await delivery.ensure('abc-forward');
    expect(await delivery.ensure('abc-forward')).toEqual({ queueUrl });
    const made = server.inspectQueue('twin-abc-forward.fifo');
    expect(made?.attributes).toMatchObject({
      FifoQueue: 'true',
      DeduplicationScope: 'messageGroup',
      FifoThroughputLimit: 'perMessageGroupId',
      MessageRetentionPeriod: '1209600',
      VisibilityTimeout: '960',
    });
    expect(JSON.parse(made?.attributes['RedrivePolicy'] ?? '{}')).toEqual({
      deadLetterTargetArn: server.inspectQueue('twin-abc-forward-dead.fifo')?.arn,
      maxReceiveCount: 1000,
    });
    await openQueue(aws()).send(queueUrl, { body: 'one', group: 'g', deduplication: '1' });
    expect(await delivery.depth('abc-forward')).toEqual({ waiting: 1, dead: 0 });
    await delivery.remove('abc-forward');
    await delivery.remove('abc-forward');
    expect(server.inspectQueue('twin-abc-forward.fifo')).toBeUndefined();
    expect(server.inspectQueue('twin-abc-forward-dead.fifo')).toBeUndefined();
    expect(await delivery.depth('abc-forward')).toEqual({ waiting: 0, dead: 0 });
  });

  test('a message of nearly 1 MiB arrives, and one sent twice arrives once', async () => {
    const delivery = openDelivery({ prefix: 'big', aws: aws() });
    const { queueUrl } = await delivery.ensure('t');
    const body = 'x'.repeat(1_040_000);
    const queue = openQueue(aws());
    await queue.send(queueUrl, { body, group: 'g', deduplication: 'd' });
    await queue.send(queueUrl, { body, group: 'g', deduplication: 'd' });
    expect(await delivery.depth('t')).toEqual({ waiting: 1, dead: 0 });
    const answer = await openSqsClient(aws()).send(new ReceiveMessageCommand({ QueueUrl: queueUrl }));
    expect(answer.Messages?.[0]?.Body).toBe(body);
  });

  test('work goes out in batches that SQS takes', async () => {
    const { queueUrl } = server.createQueue('work', { region: identity.region });
    const bodies = Array.from({ length: 25 }, (_, n) => JSON.stringify({ chunk: n }));
    await openQueue(aws()).sendWork(queueUrl, bodies);
    const ready = server.inspectQueue('work')?.messages.ready ?? [];
    expect(ready.map((m) => m.body).sort()).toEqual([...bodies].sort());
    expect(batches(bodies).map((b) => b.length)).toEqual([10, 10, 5]);
    const wide = 'ä'.repeat(300_000);
    expect(batches([wide, wide, wide]).map((b) => b.length)).toEqual([1, 1, 1]);
  });

  test('sending to a queue that is gone is queue-unavailable', async () => {
    const url = `${aws().endpoint}/000000000000/gone.fifo`;
    const sending = openQueue(aws()).send(url, { body: 'x', group: 'g', deduplication: 'd' });
    await expect(sending).rejects.toMatchObject({ code: 'queue-unavailable' });
  });

  test('parts come back byte for byte; a prefix is removed whole and nothing beside it', async () => {
    const parts = openBlobStore('parts', aws());
    const bytes = Uint8Array.from({ length: 70_000 }, (_, n) => n % 256);
    for (const key of ['t/1/a', 't/1/b', 't/2/a']) await parts.put(key, bytes);
    expect(Buffer.compare(await parts.get('t/1/a'), bytes)).toBe(0);
    await parts.removeAll('t/1/');
    await parts.removeAll('t/1/');
    await expect(parts.get('t/1/b')).rejects.toMatchObject({ code: 'claim-check-missing' });
    expect((await parts.get('t/2/a')).byteLength).toBe(bytes.length);
    await expect(openBlobStore('none', aws()).put('k', bytes)).rejects.toMatchObject({
      code: 'blob-unavailable',
    });
  });
});

describe('secrets in a file', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pgtwin-secret-'));
  });
  afterAll(() => rm(folder, { recursive: true }));
  const path = () => join(folder, 'state', 'secrets.json');
  const open = () => openSecretStore(`file:${path()}`);

  test('are read back by another store, encrypted, for their owner only', async () => {
    const reference = await open().put('pair-a', 'correct horse');
    expect(reference).toBe('local:pair-a');
    expect(await open().get(reference)).toBe('correct horse');
    expect(await readFile(path(), 'utf8')).not.toContain('correct');
    for (const file of [path(), `${path()}.key`]) expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  test('many writes at once are all kept, and removal is idempotent', async () => {
    const store = open();
    await Promise.all(Array.from({ length: 20 }, (_, n) => store.put(`n${n}`, `p${n}`)));
    const again = open();
    for (let n = 0; n < 20; n++) expect(await again.get(`local:n${n}`)).toBe(`p${n}`);
    await store.remove('local:n3');
    await store.remove('local:n3');
    await expect(open().get('local:n3')).rejects.toMatchObject({ code: 'secret-unavailable' });
    await expect(open().get('arn:aws:x')).rejects.toMatchObject({ code: 'secret-unavailable' });
    await expect(open().get('local:__proto__')).rejects.toMatchObject({ code: 'secret-unavailable' });
  });

  test('a changed password is seen after forget, or after a put through the same store', async () => {
    const reader = open();
    const reference = await reader.put('rotated', 'old');
    expect(await reader.get(reference)).toBe('old');
    await open().put('rotated', 'new');
    expect(await reader.get(reference)).toBe('old');
    reader.forget(reference);
    expect(await reader.get(reference)).toBe('new');
    await reader.put('rotated', 'newest');
    expect(await reader.get(reference)).toBe('newest');
  });
});
