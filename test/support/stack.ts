import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CloudWatchLogsClient, paginateFilterLogEvents } from '@aws-sdk/client-cloudwatch-logs';
import { DynamoDBClient, paginateScan } from '@aws-sdk/client-dynamodb';
import { InvokeCommand, LambdaClient, paginateListEventSourceMappings } from '@aws-sdk/client-lambda';
import { paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3';
import { paginateListSecrets, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { paginateListQueues, SQSClient } from '@aws-sdk/client-sqs';
import { buildFunctions } from '../../infra/build.ts';
import { deployLocal } from '../../infra/deploy-local.ts';
import { openFunctionUrl } from '../../localstack/function-url.ts';
import type { LocalStack } from '../../localstack/settings.ts';
import type { TestPlatform } from './twin.ts';

type ApiCall = TestPlatform['call'];

/** The serverless stack on the run's LocalStack, and the capture beside it as its container would run it. */
export type TestStack = AsyncDisposable & {
  /** The API's function URL, opened on this machine, and a token of the role admin. */
  readonly apiUrl: string;
  readonly token: string;
  /** As the functions, and the capture beside them, reach this machine. */
  readonly hostSeenByFunctions: string;
  /** Calls the API at its function URL; throws with the problem document unless the status is 2xx. */
  readonly call: ApiCall;
  /** The databases' addresses as everything here reaches them. */
  readonly through: Record<'a' | 'b', (url: string) => string>;
  startCapture(): void;
  /** As if its container was lost. */
  killCapture(): Promise<void>;
  /** Process number of the capture that runs. */
  readonly capturePid: number | undefined;
  /** Runs duties of the monitor's function now, as its schedule would within a minute. */
  invokeMonitor(duties: readonly string[]): Promise<void>;
  /** What the captures have printed so far. */
  readonly captureLines: readonly string[];
  /** All that a function has written to its log group, line by line. */
  logLines(name: 'apply' | 'copy' | 'api'): Promise<string[]>;
  /** The last that the captures and the functions have said, for a test that has failed. */
  lastWords(): Promise<string>;
  /** Keys of the objects that the bucket holds for a pair. */
  parts(pair: string): Promise<string[]>;
  /** What AWS holds for a pair, in words: queues, mappings, items, objects, secrets. */
  holds(pair: string): Promise<string[]>;
};

/** After this a lost capture's tasks are taken over; short, as tests wait for it. */
const LEASE_MS = 3_000;
const LAST_LINES = 40;

/** Under a prefix of its own, so that several stacks fit into one LocalStack; bundled once, beside the project. */
export async function openStack(
  { endpoint, hostSeenByFunctions }: Pick<LocalStack, 'endpoint' | 'hostSeenByFunctions'>,
  context: Readonly<Record<string, string>> = {},
): Promise<TestStack> {
  const dist = await mkdtemp(join(tmpdir(), 'pgtwin-dist-'));
  await using opened = new AsyncDisposableStack();
  opened.defer(() => rm(dist, { recursive: true, force: true }));
  await buildFunctions({ output: dist });
  const prefix = `test-${randomBytes(4).toString('hex')}`;
  const deployed = await deployLocal({ endpoint, dist, context: { prefix, ...context } });
  const api = await openFunctionUrl(endpoint, deployed.apiUrl);
  opened.defer(() => api.close());

  const captureLines: string[] = [];
  let capture: ChildProcess | undefined;
  const killCapture = async (): Promise<void> => {
    const child = capture;
    capture = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  opened.defer(killCapture);
  const clients = openClients(endpoint);
  opened.defer(() => {
    for (const client of Object.values(clients)) client.destroy();
  });
  const names = {
    prefix,
    table: deployed.outputs['TableName'] ?? '',
    bucket: deployed.outputs['BucketName'] ?? '',
    apply: deployed.outputs['ApplyFunctionName'] ?? '',
    monitor: deployed.outputs['MonitorFunctionName'] ?? '',
  };
  const logLines = (name: string) => readLogs(clients.logs, `/aws/lambda/${prefix}-${name}`);
  const kept = opened.move();
  const reach = (url: string): string => {
    const seen = new URL(url);
    seen.hostname = hostSeenByFunctions;
    return seen.href;
  };
  return {
    captureLines,
    killCapture,
    hostSeenByFunctions,
    through: { a: reach, b: reach },
    apiUrl: api.url,
    token: deployed.token,
    call: callerOf(api.url, deployed.token),
    startCapture() {
      const child = spawn(process.execPath, [join(dist, 'capture/main.mjs')], {
        env: {
          PATH: process.env['PATH'],
          ...deployed.captureEnvironment,
          PGTWIN_LEASE_MS: String(LEASE_MS),
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      capture = child;
      for (const stream of [child.stdout, child.stderr])
        createInterface({ input: stream }).on('line', (line) => {
          captureLines.push(line);
          if (process.env['PGTWIN_TEST_LOG']) process.stderr.write(`${line}\n`);
        });
      const end = () => child.kill('SIGKILL');
      process.once('exit', end);
      child.once('exit', () => process.off('exit', end));
    },
    async invokeMonitor(duties) {
      const Payload = JSON.stringify({ duties });
      const answer = await clients.lambda.send(new InvokeCommand({ FunctionName: names.monitor, Payload }));
      if (answer.FunctionError) throw new Error(Buffer.from(answer.Payload ?? []).toString());
    },
    get capturePid() {
      return capture?.pid;
    },
    logLines,
    async lastWords() {
      const [apply, copy] = await Promise.all([logLines('apply'), logLines('copy')]);
      const said = { capture: captureLines, apply: apply.filter(isOwn), copy: copy.filter(isOwn) };
      return Object.entries(said)
        .map(([name, lines]) => [`${name} said last:`, ...lines.slice(-LAST_LINES)].join('\n'))
        .join('\n');
    },
    parts: (pair) => listParts(clients.s3, names.bucket, pair),
    holds: (pair) => listAll(clients, names, pair),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

const callerOf =
  (url: string, token: string): ApiCall =>
  async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const headers = {
      authorization: `Bearer ${token}`,
      ...(body ? { 'content-type': 'application/json' } : {}),
    };
    const request = { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) };
    const response = await fetch(`${url}${path}`, request);
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text ? JSON.parse(text) : null) as T;
  };

type Clients = ReturnType<typeof openClients>;
type Names = {
  readonly prefix: string;
  readonly table: string;
  readonly bucket: string;
  readonly apply: string;
};

function openClients(endpoint: string) {
  const aws = {
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  };
  return {
    logs: new CloudWatchLogsClient(aws),
    table: new DynamoDBClient(aws),
    lambda: new LambdaClient(aws),
    s3: new S3Client({ ...aws, forcePathStyle: true }),
    secrets: new SecretsManagerClient(aws),
    sqs: new SQSClient(aws),
  };
}

/** A line that the function wrote itself, and not the platform about it. */
export const isOwn = (line: string): boolean => !/^(START|END|REPORT|INIT_START) /.test(line);

async function readLogs(client: CloudWatchLogsClient, logGroupName: string): Promise<string[]> {
  const lines: string[] = [];
  // LocalStack keeps all that one invocation wrote as one event.
  for await (const { events = [] } of paginateFilterLogEvents({ client }, { logGroupName }))
    for (const { message = '' } of events) lines.push(...message.split('\n').filter((l) => l.trim() !== ''));
  return lines;
}

async function listParts(client: S3Client, Bucket: string, pair: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket, Prefix: pair }))
    keys.push(...Contents.map(({ Key = '' }) => Key));
  return keys;
}

/** Partitions that tell of requests, and outlive what these were about. */
const pastRequests = ['audit', 'idempotency'];

async function listAll(clients: Clients, names: Names, pair: string): Promise<string[]> {
  const found = (await listParts(clients.s3, names.bucket, pair)).map((key) => `object ${key}`);
  const queues = paginateListQueues(
    { client: clients.sqs, pageSize: 1000 },
    { QueueNamePrefix: names.prefix },
  );
  for await (const { QueueUrls = [] } of queues)
    found.push(...QueueUrls.filter((url) => url.includes(pair)).map((url) => `queue ${url}`));
  const mappings = paginateListEventSourceMappings({ client: clients.lambda }, { FunctionName: names.apply });
  for await (const { EventSourceMappings = [] } of mappings)
    for (const { EventSourceArn = '', State } of EventSourceMappings)
      if (EventSourceArn.includes(pair)) found.push(`mapping ${EventSourceArn} ${State}`);
  const items = paginateScan({ client: clients.table }, { TableName: names.table, ConsistentRead: true });
  for await (const { Items = [] } of items)
    for (const item of Items)
      if (JSON.stringify(item).includes(pair) && !pastRequests.includes(item['pk']?.S ?? ''))
        found.push(`item ${item['pk']?.S} ${item['sk']?.S}`);
  for await (const { SecretList = [] } of paginateListSecrets({ client: clients.secrets }, {}))
    for (const { Name = '' } of SecretList) if (Name.includes(pair)) found.push(`secret ${Name}`);
  return found;
}
