import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DynamoDBClient, paginateScan } from '@aws-sdk/client-dynamodb';
import pg from 'pg';
import { Platform } from '../../infra/local/platform.ts';
import { openApiClient } from '../../shared/client/client.ts';
import { differences } from '../support/tables.ts';
import { until } from '../support/wait.ts';
import { openServers } from './servers.ts';

/**
 * One task with very many tables: how long configuration, precheck and start take to answer, how large the largest
 * item gets, and a change in each of some tables arrives. `node test/scale/tables.ts [--tables 5000]`; the last line
 * is the result.
 */
const { values: given } = parseArgs({ options: { tables: { type: 'string', default: '5000' } } });
const TABLES = Number(given.tables);
const ALLOWED_SECONDS = 15;
/** DynamoDB's limit for one item, in bytes. */
const ALLOWED_BYTES = 400 * 1024;
const settings = { max_locks_per_transaction: '2000' };

const print = (text: string): void => console.log(text);

await using opened = new AsyncDisposableStack();
const { a, b, folder } = await openServers(opened, settings);
const open = async (url: string): Promise<pg.Client> => {
  const client = new pg.Client(url);
  await client.connect();
  opened.defer(() => client.end());
  return client;
};
const source = await open(a.url);
for (let from = 1; from <= TABLES; from += 500) {
  const upTo = Math.min(TABLES, from + 499);
  await source.query(/* sql */ `do $$ begin
    for n in ${from}..${upTo} loop
      execute format('create table item_%s (id bigint primary key, name text not null, price numeric(12, 2), at timestamptz)', n);
      execute format('insert into item_%s values (1, ''first'', 1.5, now())', n);
    end loop; end $$`);
}
print(`${TABLES} tables on side a`);

const token = randomBytes(16).toString('hex');
const platform = await Platform.start({
  ...{ stateDir: join(folder, 'state'), persistent: false, log: 'warn' },
  ...{ apiTokens: `scale:admin:${token}`, onLine: (line: string) => process.stderr.write(`${line}\n`) },
});
opened.defer(() => platform.stop());
const api = openApiClient({ url: platform.apiUrl, token });

const seconds: Record<string, number> = {};
async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const from = performance.now();
  const result = await work();
  seconds[what] = Math.round(performance.now() - from) / 1000;
  print(`${what}: ${seconds[what]} s`);
  return result;
}
const side = (server: { url: string }) => ({ url: `${server.url}?sslmode=disable` });
const { id } = await api.createPair({ name: 'tables', sides: { a: side(a), b: side(b) } });
const objects = { include: [{ schema: 'public', table: '*' }] };
await timed('configure', () =>
  api.configureBoth(id, { forward: { objects }, reverse: { objects, autoStart: true } }),
);
const order = { ignoreAlerts: true, ignore: ['long-transactions'] };
const { forward } = await timed('precheck', () => api.precheckBoth(id, order));
if (!forward?.ready) throw new Error(JSON.stringify(forward?.items.filter((i) => i.status !== 'passed')));
await timed('start', () => api.act(id, 'forward', 'start'));
await timed('until both tasks run', () =>
  until(
    'both tasks to run',
    async (saw) => {
      const states = await Promise.all(
        (['forward', 'reverse'] as const).map(async (direction) => (await api.getTask(id, direction)).state),
      );
      saw(states);
      return states.every((state) => state === 'Running');
    },
    { timeoutMs: 600_000 },
  ),
);
await timed('a change in every fiftieth table', async () => {
  for (let n = 1; n <= TABLES; n += 50) await source.query(`insert into item_${n} values (2, 'second')`);
  const last = TABLES - ((TABLES - 1) % 50);
  const destination = await open(b.url);
  await until(
    'the last change',
    async () => (await destination.query(`select from item_${last} where id = 2`)).rowCount === 1,
    { timeoutMs: 120_000 },
  );
});
const found = await differences({ url: a.url }, { url: b.url });

const client = new DynamoDBClient({
  endpoint: platform.env['AWS_ENDPOINT_URL_DYNAMODB']!,
  ...{ region: 'us-east-1', credentials: { accessKeyId: 'local', secretAccessKey: 'local' } },
});
opened.defer(() => client.destroy());
let largest = { bytes: 0, item: '' };
for await (const { Items = [] } of paginateScan({ client }, { TableName: platform.env['PGTWIN_TABLE']! }))
  for (const item of Items) {
    const bytes = Buffer.byteLength(JSON.stringify(item));
    if (bytes > largest.bytes) largest = { bytes, item: `${item['pk']?.S} ${item['sk']?.S}` };
  }
const ok =
  ['configure', 'precheck', 'start'].every((what) => seconds[what]! <= ALLOWED_SECONDS) &&
  largest.bytes < ALLOWED_BYTES &&
  found.length === 0;
print(JSON.stringify({ tables: TABLES, seconds, largest, differences: found.length, ok }));
process.exitCode = ok ? 0 : 1;
