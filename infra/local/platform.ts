import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { CreateQueueCommand } from '@aws-sdk/client-sqs';
import type { SQSEvent } from 'aws-lambda';
import { createTableIfMissing } from '../../shared/aws/table.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { buildConsole } from '../console.ts';
import { startTableServer } from './dynamo.ts';
import { type EventSource, openEventSource } from './event-source.ts';
import { type FunctionHost, openFunctionHost } from './function-host.ts';
import { type QueueServer, startQueueServer } from './queue.ts';
import { localSqsClient } from './sqs-client.ts';

export type PlatformOptions = {
  /** Where configuration, state and secrets are kept. */
  readonly stateDir: string;
  /** Keep the table on disk; else it ends with the platform. Default true. */
  readonly persistent?: boolean;
  /** Setting of PGTWIN_LOG for all parts. */
  readonly log?: string;
  /** What the parts print, a JSON object a line. */
  readonly onLine?: (line: string) => void;
  readonly leaseMs?: number;
  /** Apply invocations at once. */
  readonly applyConcurrency?: number;
  /** Variables for the API, such as its tokens. */
  readonly apiTokens: string;
  readonly apiPort?: number;
  /** Serve the web console. Default true. */
  readonly console?: boolean;
  /** More environment variables for all parts, such as NODE_OPTIONS. */
  readonly variables?: Readonly<Record<string, string>>;
};

const TABLE = 'pgtwin';
const BUCKET = 'pgtwin-parts';
const PREFIX = 'pgtwin';
const QUEUE_POLL_MS = 50;
/** Of a pair both are applied at once: a process that starts under its first load slows that down for half a second. */
const DIRECTIONS = 2;
/** Each keeps a core and a half busy, the servers' work included: more would only be started for nothing. */
const COPY_WORKERS = Math.min(4, Math.max(2, availableParallelism()));
const local = { accessKeyId: 'local', secretAccessKey: 'local' };

/** A process that is started with these and a pipe as its input ends with us, however we end. */
const endWithParent = ['--import', new URL('./end-with-parent.ts', import.meta.url).href];
const compileCache = fileURLToPath(new URL('../../node_modules/.cache/pgtwin', import.meta.url));
const entry = (path: string): string => fileURLToPath(new URL(`../../functions/${path}`, import.meta.url));

/**
 * Everything that runs pgtwin on one machine, without an account: queue and table servers, the capture and the API as
 * processes of their own, apply and copy as functions behind a poller that behaves like Lambda's event source mapping.
 */
export class Platform {
  readonly env: Readonly<Record<string, string>>;
  readonly apply: FunctionHost;
  readonly copy: FunctionHost;
  apiUrl = '';
  readonly #o: PlatformOptions;
  readonly #services: { stop(): Promise<void> }[];
  readonly #sources = new Map<string, EventSource>();
  readonly #queues: QueueServer;
  readonly #stopping = new AbortController();
  #capture: ChildProcess | undefined;
  #api: ChildProcess | undefined;
  #watching: Promise<void> = Promise.resolve();

  private constructor(
    options: PlatformOptions,
    env: Record<string, string>,
    queues: QueueServer,
    services: { stop(): Promise<void> }[],
  ) {
    this.#o = options;
    this.env = env;
    this.#queues = queues;
    this.#services = services;
    const onLine = options.onLine ?? (() => {});
    const concurrency = options.applyConcurrency ?? 4;
    this.apply = openFunctionHost({
      entry: entry('apply/handler.ts'),
      functionName: 'apply',
      env,
      concurrency,
      // A task's connection to its destination is open where its last messages were applied.
      kindOf: (event) => (event as SQSEvent).Records[0]?.attributes.MessageGroupId,
      onLine,
    });
    this.copy = openFunctionHost({
      entry: entry('copy/handler.ts'),
      functionName: 'copy',
      env,
      concurrency: COPY_WORKERS,
      onLine,
    });
  }

  /** Starts all parts; the API's address is in `apiUrl`. */
  static async start(options: PlatformOptions): Promise<Platform> {
    const { stateDir, persistent = true } = options;
    const consoleFolder = join(stateDir, 'console');
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    const queue = await startQueueServer();
    const table = await startTableServer(persistent ? { dataDir: join(stateDir, 'table') } : {});
    const sqs = localSqsClient({ endpoint: queue.endpoint });
    const copyQueue = await sqs.send(
      new CreateQueueCommand({ QueueName: `${PREFIX}-copy`, Attributes: { VisibilityTimeout: '30' } }),
    );
    sqs.destroy();
    const env = {
      PATH: process.env['PATH'] ?? '',
      // Processes start in a third of the time.
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? compileCache,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'local',
      AWS_SECRET_ACCESS_KEY: 'local',
      AWS_ENDPOINT_URL_SQS: queue.endpoint,
      AWS_ENDPOINT_URL_S3: queue.endpoint,
      AWS_ENDPOINT_URL_DYNAMODB: table.endpoint,
      PGTWIN_TABLE: TABLE,
      PGTWIN_BUCKET: BUCKET,
      PGTWIN_PREFIX: PREFIX,
      PGTWIN_COPY_QUEUE_URL: copyQueue.QueueUrl ?? '',
      PGTWIN_SECRETS: `file:${join(stateDir, 'secrets.json')}`,
      PGTWIN_LOG: options.log ?? 'info',
      // A look costs nothing here, and somebody waits for what was started.
      PGTWIN_POLL_MS: '200',
      PGTWIN_LEASE_MS: String(options.leaseMs ?? 3_000),
      PGTWIN_API_TOKENS: options.apiTokens,
      PGTWIN_PORT: String(options.apiPort ?? 0),
      PGTWIN_CONSOLE: consoleFolder,
      ...options.variables,
    };
    await createTableIfMissing(TABLE, { endpoint: table.endpoint, region: 'us-east-1', credentials: local });
    const s3 = new S3Client({
      region: 'us-east-1',
      endpoint: queue.endpoint,
      forcePathStyle: true,
      credentials: local,
    });
    await s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
    s3.destroy();
    // Read with the first request for it.
    if (options.console ?? true) await buildConsole(consoleFolder);
    const platform = new Platform(options, env, queue, [queue, table]);
    await Promise.all([platform.#startApi(), platform.apply.warm(DIRECTIONS), platform.copy.warm()]);
    platform.startCapture();
    platform.#watching = platform.#watchQueues();
    return platform;
  }

  /** The capture as its container would run it; safe to call when it runs. */
  startCapture(): void {
    if (this.#capture) return;
    const child = this.#spawn('capture/main.ts', 'capture');
    this.#capture = child;
    child.once('exit', (code, signal) => {
      if (this.#capture !== child) return;
      this.#capture = undefined;
      if (!this.#stopping.signal.aborted && signal === null)
        this.#o.onLine?.(JSON.stringify({ level: 'error', text: 'capture ended', code }));
    });
  }

  /** As if its container was lost. */
  async killCapture(): Promise<void> {
    const child = this.#capture;
    if (!child) return;
    this.#capture = undefined;
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }

  /** Process number of the capture. */
  get capturePid(): number | undefined {
    return this.#capture?.pid;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#watching;
    const ended = [this.#capture, this.#api].map(async (child) => {
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await once(child, 'exit');
      clearTimeout(timer);
    });
    await Promise.all(ended);
    await Promise.all([...this.#sources.values()].map((source) => source.stop()));
    await Promise.all([this.apply.stop(), this.copy.stop()]);
    await Promise.all(this.#services.map((service) => service.stop()));
  }

  #spawn(path: string, area: string): ChildProcess {
    const child = spawn(process.execPath, [...endWithParent, entry(path)], {
      env: this.env,
      stdio: ['pipe', 'pipe', 'pipe', 'ipc'],
    });
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream! }).on('line', (line) => this.#o.onLine?.(line));
    // Ends with this process, however that ends.
    const end = () => child.kill('SIGKILL');
    process.once('exit', end);
    child.once('exit', () => process.off('exit', end));
    child.once('error', (cause) => {
      throw new PgtwinError(
        'local-server-failed',
        { detail: `The ${area} process did not start.` },
        { cause },
      );
    });
    return child;
  }

  async #startApi(): Promise<void> {
    const child = this.#spawn('api/entry-node.ts', 'api');
    this.#api = child;
    // A message of its own, so that it comes at every log level.
    this.apiUrl = await new Promise<string>((resolve, reject) => {
      child.once('message', (message) =>
        resolve((message as { url: string }).url.replace('0.0.0.0', '127.0.0.1')),
      );
      child.once('exit', (code) =>
        reject(new PgtwinError('local-server-failed', { detail: `The API ended with code ${code}.` })),
      );
    });
    child.disconnect();
  }

  /** Opens an event source for each queue that appears: what the mappings are on AWS. */
  async #watchQueues(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const urls = await this.#queues.list(PREFIX);
      const wanted = new Set(urls.filter((url) => !url.endsWith('-dead.fifo')));
      for (const url of wanted) if (!this.#sources.has(url)) this.#sources.set(url, this.#openSource(url));
      for (const [url, source] of this.#sources)
        if (!wanted.has(url)) {
          this.#sources.delete(url);
          await source.stop();
        }
      await pause(QUEUE_POLL_MS, undefined, { signal }).catch(() => {});
    }
  }

  #openSource(queueUrl: string): EventSource {
    const name = queueUrl.split('/').at(-1) ?? '';
    const host = name.endsWith('.fifo') ? this.apply : this.copy;
    return openEventSource({
      queue: this.#queues.open(queueUrl),
      queueArn: `arn:aws:sqs:us-east-1:000000000000:${name}`,
      handler: (event) => host.invoke(event),
      batchSize: name.endsWith('.fifo') ? 10 : 1,
      maxConcurrency: 4,
      report: (what, error) =>
        this.#o.onLine?.(JSON.stringify({ level: 'warn', text: what, error: String(error) })),
    });
  }
}
