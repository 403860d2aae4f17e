import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { type PostgresServer, startPostgres } from '../../infra/local/postgres-server.ts';
import { localSqsClient } from '../../infra/local/sqs-client.ts';
import { openProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { openPlatform, openTwin, type TestPlatform, type Twin } from '../support/twin.ts';
import type { ChaosOptions } from './options.ts';
import { conflictFieldsOf, identityOf } from './policies.ts';
import { hasForeignKeys, type Setup } from './schedule.ts';
import { familySchema, schema } from './schema.ts';
import { openTableProxy, type TableProxy } from './table-proxy.ts';
import type { Side } from './transactions.ts';

/** Two servers of our own, the local platform, a pair that runs, and every way between them in our hands. */
export type World = AsyncDisposable & {
  readonly servers: Readonly<Record<Side, PostgresServer>>;
  readonly proxies: Readonly<Record<Side, TcpProxy>>;
  readonly table: TableProxy;
  readonly on: TestPlatform;
  readonly twin: Twin;
  readonly sqs: SQSClient;
  readonly leaseMs: number;
  readonly foreignKeys: boolean;
  readonly onLine: (line: string) => void;
};

const LEASE_MS = 2_000;

/** A crash of the server process loses what was not written, never what the kernel has: no flush is needed. */
const settings = {
  fsync: 'off',
  full_page_writes: 'off',
  log_min_messages: 'fatal',
  deadlock_timeout: '200ms',
};

export async function openWorld(
  options: ChaosOptions,
  setup: Setup,
  hooks: {
    readonly onLine: (line: string) => void;
    /** The forward task is about to be started: what is written on side a from now on meets the copy. */
    readonly onStart: (url: string) => void;
  },
): Promise<World> {
  const { onLine } = hooks;
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'pgtwin-chaos-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o755);
  const start = async (side: Side): Promise<PostgresServer> => {
    const server = await startPostgres({ binDir: options.binDir, dataDir: join(folder, side), settings });
    stack.defer(() => server.stop('immediate'));
    return server;
  };
  const [a, b] = await Promise.all([start('a'), start('b')]);
  const proxies = {
    a: stack.use(await openProxy({ host: a.host, port: a.port })),
    b: stack.use(await openProxy({ host: b.host, port: b.port })),
  };
  const on = stack.use(await openPlatform({ leaseMs: LEASE_MS, onLine }));
  const { platform } = on;
  const env = platform.env as Record<string, string>;
  const table = stack.use(await openTableProxy(new URL(env['AWS_ENDPOINT_URL_DYNAMODB']!)));
  // From here on capture and functions reach the table through the proxy; the API goes on directly.
  env['AWS_ENDPOINT_URL_DYNAMODB'] = table.url;
  await Promise.all([platform.killCapture(), platform.apply.kill(), platform.copy.kill()]);
  platform.startCapture();
  const sqs = localSqsClient({ endpoint: env['AWS_ENDPOINT_URL_SQS']! });
  stack.defer(() => sqs.destroy());

  const { account, arbiter, onDeleted, synchronousCommit, missingParent } = setup;
  const config = { ...conflictFieldsOf(options.policy), onDeleted, synchronousCommit, missingParent };
  const direct = { a: '', b: '' };
  const through = (side: Side) => (url: string) => {
    direct[side] = url;
    return proxies[side].through(url);
  };
  const call: TestPlatform['call'] = (method, path, body) => {
    if (path.endsWith('/tasks/forward/start')) hooks.onStart(direct.a);
    return on.call(method, path, body);
  };
  const twin = await openTwin(
    { call },
    {
      schema: schema + familySchema(hasForeignKeys(setup)) + identityOf(options.policy),
      account,
      arbiter,
      shards: options.shards,
      forward: config,
      reverse: config,
      servers: { a, b },
      through: { a: through('a'), b: through('b') },
    },
  );
  const owned = stack.move();
  return {
    servers: { a, b },
    proxies,
    table,
    on,
    twin,
    sqs,
    onLine,
    leaseMs: LEASE_MS,
    foreignKeys: hasForeignKeys(setup),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
