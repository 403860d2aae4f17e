import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { Platform } from '../../infra/local/platform.ts';
import type { PostgresServer } from '../../infra/local/postgres-server.ts';
import { openTable } from '../../shared/aws/table.ts';
import { openApiClient } from '../../shared/client/client.ts';
import { taskIdOf } from '../../shared/task/schema.ts';
import { startSecondCapture } from '../chaos/second-capture.ts';
import { until } from '../support/wait.ts';
import { openServers } from './servers.ts';

/**
 * Many pairs on one control plane with two captures, one of which is killed: the tasks are spread over both, and all
 * of them go on within half a minute. `node test/scale/pairs.ts [--pairs 50] [--both]`; the last line is the result.
 */
const { values: given } = parseArgs({
  options: { pairs: { type: 'string', default: '50' }, both: { type: 'boolean', default: false } },
});
const PAIRS = Number(given.pairs);
const ALLOWED_SECONDS = 30;
const AT_ONCE = 4;
const settings = {
  ...{ max_connections: '1200', shared_buffers: '64MB' },
  ...{ max_replication_slots: '250', max_wal_senders: '250', superuser_reserved_connections: '10' },
};

const print = (text: string): void => console.log(text);

/** The work for each number, some at once. */
async function forEach(count: number, work: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

async function query<Row extends pg.QueryResultRow>(server: PostgresServer, name: string, sql: string) {
  const client = new pg.Client(urlOf(server, name));
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}
const urlOf = (server: PostgresServer, name: string): string => server.url.replace(/postgres$/, name);

await using opened = new AsyncDisposableStack();
const { a, b, folder } = await openServers(opened, settings);
const database = (n: number): string => `p${n}`;
for (const server of [a, b])
  for (let n = 0; n < PAIRS; n++) {
    await query(server, 'postgres', `create database ${database(n)} strategy file_copy`);
    await query(server, database(n), 'create table item (id uuid primary key, round int)');
  }
print(`${PAIRS} databases on each server`);

const token = randomBytes(16).toString('hex');
const platform = await Platform.start({
  ...{ stateDir: join(folder, 'state'), persistent: false, leaseMs: 3_000, log: 'warn' },
  ...{ apiTokens: `scale:admin:${token}`, onLine: (line) => process.stderr.write(`${line}\n`) },
});
opened.defer(() => platform.stop());
const second = startSecondCapture(platform.env, (line) => process.stderr.write(`${line}\n`));
opened.defer(() => second.end());
const api = openApiClient({ url: platform.apiUrl, token });

const ids: string[] = [];
const objects = { include: [{ schema: 'public', table: '*' }] };
const config = { objects, types: { schema: false, full: false, incremental: true } };
const order = { ignoreAlerts: true, ignore: ['long-transactions'] };
await forEach(PAIRS, async (n) => {
  const side = (server: PostgresServer) => ({ url: `${urlOf(server, database(n))}?sslmode=disable` });
  const { id } = await api.createPair({ name: database(n), sides: { a: side(a), b: side(b) } });
  ids[n] = id;
  const reverse = given.both ? { reverse: { ...config, autoStart: true } } : {};
  await api.configureBoth(id, { forward: config, ...reverse });
  const { forward } = await api.precheckBoth(id, order);
  if (!forward?.ready) throw new Error(JSON.stringify(forward?.items.filter((i) => i.status !== 'passed')));
  await api.act(id, 'forward', 'start');
});
const directions = given.both ? (['forward', 'reverse'] as const) : (['forward'] as const);
const running = async (): Promise<number> => {
  let count = 0;
  await forEach(PAIRS, async (n) => {
    for (const direction of directions)
      if ((await api.getTask(ids[n]!, direction)).state === 'Running') count += 1;
  });
  return count;
};
const patient = { timeoutMs: 180_000 };
const wanted = PAIRS * directions.length;
await until(
  `${wanted} tasks to run`,
  async (saw) => {
    const now = await running();
    saw(now);
    return now === wanted;
  },
  patient,
);
print(`${wanted} tasks run`);

const table = openTable(platform.env['PGTWIN_TABLE']!, {
  endpoint: platform.env['AWS_ENDPOINT_URL_DYNAMODB']!,
  ...{ region: 'us-east-1', credentials: { accessKeyId: 'local', secretAccessKey: 'local' } },
});
/** How many tasks each capture has. */
const spread = async (): Promise<number[]> => {
  const owners = new Map<string, number>();
  for (const id of ids)
    for (const direction of directions) {
      const body = (await table.get(taskIdOf(id, direction), 'lease'))?.body as { owner: string | null };
      if (body.owner) owners.set(body.owner, (owners.get(body.owner) ?? 0) + 1);
    }
  return [...owners.values()];
};
const before = await until(
  'an even spread',
  async (saw) => {
    const counts = await spread();
    saw(counts);
    return counts.length === 2 && Math.max(...counts) <= Math.ceil(wanted / 2) && counts;
  },
  patient,
);
print(`spread over two captures: ${before.join(' and ')}`);

let round = 0;
/** Seconds until a row that is written now in every database has arrived in its twin. */
async function arrival(timeoutMs: number): Promise<number> {
  round += 1;
  const from = performance.now();
  await forEach(PAIRS, (n) =>
    query(a, database(n), `insert into item values (gen_random_uuid(), ${round})`).then(() => {}),
  );
  const waiting = new Set(ids.keys());
  await until(
    `round ${round} to arrive everywhere`,
    async (saw) => {
      for (const n of [...waiting]) {
        const [row] = await query<{ n: number }>(
          b,
          database(n),
          `select count(*)::int as n from item where round = ${round}`,
        );
        if (row?.n === 1) waiting.delete(n);
      }
      saw(`${waiting.size} are missing`);
      return waiting.size === 0;
    },
    { timeoutMs },
  );
  return (performance.now() - from) / 1000;
}
const usual = await arrival(60_000);
print(`a row in every database arrives within ${usual.toFixed(1)} s`);
await second.end();
print('one capture was killed');
const seconds = await arrival(120_000);
const after = await spread();
const result = { pairs: PAIRS, tasks: wanted, before, after, usualSeconds: usual, afterKillSeconds: seconds };
const ok = seconds <= ALLOWED_SECONDS;
print(JSON.stringify({ ...result, ok }));
process.exitCode = ok ? 0 : 1;
