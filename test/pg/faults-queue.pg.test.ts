import {
  DeleteQueueCommand,
  GetQueueUrlCommand,
  PurgeQueueCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { localSqsClient } from '../../infra/local/sqs-client.ts';
import { openBlobStore } from '../../shared/aws/blob.ts';
import { openProxy } from '../support/tcp-proxy.ts';
import { openPlatform, openTwin, type TestPlatform, type Twin } from '../support/twin.ts';
import { until } from '../support/wait.ts';
import { expectEqual, startWrites, writesSchema } from '../support/writes.ts';

let on: TestPlatform;
let twin: Twin;
let sqs: SQSClient;
beforeAll(async () => {
  on = await openPlatform();
  sqs = localSqsClient({ endpoint: on.platform.env['AWS_ENDPOINT_URL_SQS']! });
  twin = await openTwin(on, { schema: writesSchema });
});
afterAll(async () => {
  sqs?.destroy();
  await twin?.[Symbol.asyncDispose]();
  await on?.[Symbol.asyncDispose]();
});

const queues = () => Promise.all(['f', 'r'].map((d) => urlOf(`pgtwin-${twin.pair}_${d}.fifo`)));
async function urlOf(QueueName: string): Promise<string> {
  const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName }));
  return QueueUrl!;
}

test('the whole queue is dropped, twice within a minute', async () => {
  await using writes = startWrites(twin);
  for (let n = 0; n < 2; n++) {
    await writes.more(100);
    // Messages pile up, while nobody takes them away.
    await on.platform.apply.kill();
    for (const QueueUrl of await queues()) await sqs.send(new PurgeQueueCommand({ QueueUrl }));
  }
  await writes.more(50);
  await writes.stop();
  await expectEqual(twin, writes);
});

test('a queue that was deleted is made again', async () => {
  await using writes = startWrites(twin);
  await writes.more(50);
  for (const QueueUrl of await queues()) await sqs.send(new DeleteQueueCommand({ QueueUrl }));
  await until('the queues to be there again', queues, { timeoutMs: 60_000, tolerateErrors: true });
  await writes.more(50);
  await writes.stop();
  await expectEqual(twin, writes);
  for (const direction of ['forward', 'reverse'] as const) await twin.reach(direction, 'Running');
});

test('the table refuses for a while', async () => {
  const env = on.platform.env as Record<string, string>;
  const real = new URL(env['AWS_ENDPOINT_URL_DYNAMODB']!);
  await using proxy = await openProxy({ host: real.hostname, port: Number(real.port) });
  // From here on capture and functions reach the table through the proxy.
  env['AWS_ENDPOINT_URL_DYNAMODB'] = `http://127.0.0.1:${proxy.port}`;
  await on.platform.killCapture();
  await on.platform.apply.kill();
  on.platform.startCapture();
  try {
    await using writes = startWrites(twin);
    await writes.more(200);
    for (const refused of [50, 700]) {
      proxy.refuse(true);
      proxy.cut();
      await writes.more(refused);
      proxy.refuse(false);
      await writes.more(50);
    }
    await writes.stop();
    await expectEqual(twin, writes);
    for (const direction of ['forward', 'reverse'] as const) await twin.reach(direction, 'Running');
  } finally {
    env['AWS_ENDPOINT_URL_DYNAMODB'] = real.href;
    await on.platform.killCapture();
    await on.platform.apply.kill();
    on.platform.startCapture();
  }
});

type Named = { readonly parts: readonly { readonly key: string }[] };

test('parts of a large transaction are gone before they are read: it is sent again', async () => {
  const { env, apply } = on.platform;
  const blobs = openBlobStore('pgtwin-parts', {
    ...{ region: 'us-east-1', endpoint: env['AWS_ENDPOINT_URL_S3']! },
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
  const { invoke } = apply;
  let removed = 0;
  apply.invoke = (async (event: { Records: { body: string }[] }) => {
    const named = event.Records.find(({ body }) => body.includes('"parts"'));
    if (removed < 2 && named) {
      removed += 1;
      const { parts } = JSON.parse(named.body.slice(0, named.body.indexOf('\n'))) as Named;
      // All of them; then the last one, which is missed when the rows before it are on their way.
      await blobs.removeAll(removed === 1 ? `${twin.pair}_f/` : parts.at(-1)!.key);
    }
    return invoke(event);
  }) as typeof invoke;
  try {
    // Bytes that do not compress: 20 MB in three parts.
    await twin.a.query(/* sql */ `
      insert into ledger select g, 'x', (select string_agg(md5(g::text || i::text || random()::text), '') from generate_series(1, 30) i)
      from generate_series(1000001, 1020000) g`);
    await twin.settle();
  } finally {
    apply.invoke = invoke;
  }
  expect(removed).toBe(2);
  expect(await twin.differences()).toEqual([]);
  await twin.a.query(`delete from ledger where side = 'x'`);
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
});
