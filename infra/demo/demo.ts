import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { styleText } from 'node:util';
import type pg from 'pg';
import { type ApiClient, openApiClient } from '../../shared/client/client.ts';
import type { Side } from '../../shared/task/schema.ts';
import { sides } from '../../shared/task/schema.ts';
import { openLogFile } from '../local/log-file.ts';
import { reachBoth } from '../local/pair-setup.ts';
import { Platform } from '../local/platform.ts';
import { type Comparison, compare } from './compare.ts';
import { clash, clashRowsSql, readOutcomes } from './conflicts.ts';
import { type DemoDatabases, openClient, openDatabases } from './databases.ts';
import { readApplied, showFigures } from './figures.ts';
import { keepRunning } from './keep.ts';
import { LatencyProbe, percentile } from './latency.ts';
import type { DemoOptions } from './options.ts';
import { waitForQuiet } from './quiet.ts';
import { countsOf, loadSql, schemaSql } from './schema.ts';
import { milliseconds, number, type Screen } from './screen.ts';
import { copyAll, divideSequences, preparePair, watchTasks } from './synchronize.ts';
import { allEnded, startWorkload, WRITERS } from './workload.ts';

const LARGE_ROWS = 100_000;

export type DemoRun = {
  readonly options: DemoOptions;
  readonly screen: Screen;
  /** What is opened; closed by the caller, however the demo ends. */
  readonly open: AsyncDisposableStack;
  readonly signal: AbortSignal;
};
type Clients = Readonly<Record<Side, pg.Client>>;
type Stage = DemoRun & {
  readonly databases: DemoDatabases;
  readonly api: ApiClient;
  readonly pair: string;
  readonly clients: Clients;
  readonly probes: Readonly<Record<Side, LatencyProbe>>;
};

/** The whole demo, in the order of its output. True if both databases ended equal. */
export async function demo(run: DemoRun): Promise<boolean> {
  const { options, screen, open } = run;
  const started = performance.now();
  const step = (text: string): void => {
    run.signal.throwIfAborted();
    screen.heading(text);
  };
  screen.say(styleText('bold', 'pgtwin: two PostgreSQL databases, both written to, kept in step.'));
  screen.say('Everything runs on this machine, in a temporary folder, and is removed at the end.');

  step('1. Two PostgreSQL servers start, side a gets the tables and rows of a shop');
  const databases = open.use(await openDatabases());
  const { a, b } = databases;
  const counts = countsOf(options.rows);
  const clients = { a: await client(databases, 'a', open), b: await client(databases, 'b', open) };
  await clients.a.query(schemaSql);
  for (const sql of loadSql(counts)) {
    run.signal.throwIfAborted();
    await clients.a.query(sql);
  }
  const loaded = Object.values(counts).reduce((sum, count) => sum + count, 0);
  screen.item(
    'side a',
    `PostgreSQL ${a.version} at port ${a.target.port}, ${number(loaded)} rows in 7 tables`,
  );
  screen.item('side b', `PostgreSQL ${b.version} at port ${b.target.port}, empty`);

  step('2. The local platform starts: API, capture, apply, copy, with a queue and a table of its own');
  const { platform, api, log } = await startPlatform(databases.folder, open);
  screen.item('console', `${platform.apiUrl}/console/   token ${api.token}`);
  screen.item('API', platform.apiUrl);
  const pair = await preparePair(api, databases, screen);

  step('3. Full copy: schema and rows of a go to b');
  const ending = new AbortController();
  const signal = AbortSignal.any([run.signal, ending.signal]);
  const failure = watchTasks(api, pair, signal);
  failure.catch(() => undefined);
  /** Ends when a task fails, and then not before the work has: nothing uses a connection that is closed by then. */
  const orFail = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await Promise.race([work, failure]);
    } catch (error) {
      ending.abort();
      await work.catch(() => undefined);
      throw error;
    }
  };
  try {
    const copyRate = await orFail(
      copyAll({ api, pair, rows: loaded, destination: clients.b, screen, signal }),
    );
    await divideSequences(clients);
    const [one, other] = await Promise.all([client(databases, 'a', open), client(databases, 'b', open)]);
    const probes = {
      a: new LatencyProbe({ from: 'a', source: one, destination: other }),
      b: new LatencyProbe({
        from: 'b',
        source: await client(databases, 'b', open),
        destination: await client(databases, 'a', open),
      }),
    };
    const stage: Stage = { ...run, signal, databases, api, pair, clients, probes };

    step(
      `4. ${options.seconds} s of writes on both sides, among them one transaction of ${number(largeOf(options))} rows`,
    );
    const figures = await orFail(writeOnBoth(stage, counts));

    step('5. Conflicts on purpose: both tasks pause, both sides write, both resume');
    await orFail(makeConflicts(stage));

    step('6. Row by row: all tables of a against all tables of b');
    await orFail(waitForQuiet(clients, probes, signal));
    const comparison = await compare(databases, (table, rows) =>
      screen.live(`  ${table}: ${number(rows)} rows`),
    );
    showComparison(screen, comparison);
    const conflicts = (await Promise.all(sides.map((side) => readApplied(clients[side])))).reduce(
      (sum, each) => sum + each.conflicts,
      0,
    );
    const converged = comparison.differences === 0;
    if (options.keep) await keepRunning({ screen, databases, api, pair, log: log.path, signal });
    screen.say();
    screen.say(
      JSON.stringify({
        converged,
        rowsCompared: comparison.rows,
        differences: comparison.differences,
        ...figures,
        conflicts,
        rowsPerSecond: { copy: Math.round(copyRate), ...figures.rowsPerSecond },
        seconds: round((performance.now() - started) / 1000),
      }),
    );
    return converged;
  } catch (error) {
    if (!run.signal.aborted) for (const line of log.complaints()) screen.say(`  ${line.slice(0, 500)}`);
    throw error;
  } finally {
    ending.abort();
  }
}

const round = (value: number): number => Math.round(value * 10) / 10;
const largeOf = ({ rows }: DemoOptions): number => Math.min(LARGE_ROWS, rows);

async function client(databases: DemoDatabases, side: Side, open: AsyncDisposableStack): Promise<pg.Client> {
  const opened = await openClient(databases[side]);
  open.defer(() => opened.end().catch(() => undefined));
  return opened;
}

async function startPlatform(folder: string, open: AsyncDisposableStack) {
  const token = randomBytes(18).toString('base64url');
  const log = openLogFile(join(folder, 'platform', 'platform.log'));
  open.defer(() => log.close());
  const platform = await Platform.start({
    stateDir: join(folder, 'platform'),
    persistent: false,
    apiTokens: `demo:admin:${token}`,
    onLine: log.write,
  });
  open.defer(() => platform.stop());
  return { platform, log, api: openApiClient({ url: platform.apiUrl, token }) };
}

async function writeOnBoth(stage: Stage, counts: ReturnType<typeof countsOf>) {
  const { databases, options, clients, probes, screen, signal } = stage;
  screen.say(
    `  Orders, payments, documents, rows of every type: inserts, updates, deletes, on ${WRITERS} connections a side.`,
  );
  const before = await Promise.all(sides.map((side) => readApplied(clients[side])));
  const started = performance.now();
  const workload = startWorkload({
    ...{ databases, counts, signal },
    seconds: options.seconds,
    largeRows: largeOf(options),
  });
  const over = new AbortController();
  const all = Object.values(probes);
  const until = AbortSignal.any([signal, over.signal]);
  await allEnded([
    workload.ended.finally(() => over.abort()),
    ...all.map((probe) => probe.run(over.signal, signal)),
    showFigures({ screen, clients, written: workload.written, probes: all, signal: until }),
  ]);
  const writing = workload.seconds();
  await waitForQuiet(clients, probes, signal);
  const arriving = (performance.now() - started) / 1000;
  const after = await Promise.all(sides.map((side) => readApplied(clients[side])));
  const samples = all.flatMap((probe) => probe.samples);
  const [p50, p99] = [percentile(samples, 0.5) ?? 0, percentile(samples, 0.99) ?? 0];
  const { a, b } = workload.written;
  const [transactions, rows] = [a.transactions + b.transactions, a.rows + b.rows];
  screen.item(
    'written',
    `${number(rows)} rows in ${number(transactions)} transactions, ${writing.toFixed(1)} s`,
  );
  screen.item('arrived', `all of them, ${(arriving - writing).toFixed(1)} s after the last was written`);
  screen.item(
    'latency',
    `p50 ${milliseconds(p50)}, p99 ${milliseconds(p99)}, over ${samples.length} marker rows: from commit on one side to visible on the other, the large transaction included`,
  );
  const arrived = (side: 0 | 1) =>
    Math.round(((after[side]?.rows ?? 0) - (before[side]?.rows ?? 0)) / arriving);
  return {
    transactions,
    rows,
    latencyMs: { p50: round(p50), p99: round(p99) },
    rowsPerSecond: { written: Math.round(rows / writing), aToB: arrived(1), bToA: arrived(0) },
  };
}

async function makeConflicts({ api, pair, clients, probes, screen, signal }: Stage): Promise<void> {
  await clients.a.query(clashRowsSql);
  await waitForQuiet(clients, probes, signal);
  const act = async (action: 'pause' | 'resume'): Promise<void> => {
    for (const direction of ['forward', 'reverse'] as const) await api.act(pair, direction, action);
  };
  await act('pause');
  await reachBoth(api, pair, 'Paused', { signal });
  const held = await clash(clients);
  await act('resume');
  await reachBoth(api, pair, 'Running', { signal });
  await waitForQuiet(clients, probes, signal);
  const outcomes = await readOutcomes(clients, held, api, pair);
  const dim = (text: string): string => styleText('dim', text);
  screen.table([
    ['conflict', 'written on a', 'written on b', 'on both sides now', 'in the log'].map(dim),
    ...outcomes.map(({ what, a, b, result, logged }) => [
      what,
      a,
      b,
      result === undefined ? styleText('red', 'THE SIDES DIFFER') : styleText('green', result),
      dim(logged.join(', ') || '-'),
    ]),
  ]);
}

function showComparison(screen: Screen, { tables, rows, differences, shown }: Comparison): void {
  screen.clearLive();
  screen.table(
    tables.map(({ table, rows: count, differences: wrong }) => [
      table,
      number(count),
      wrong === 0 ? styleText('green', 'equal') : styleText('red', `${number(wrong)} DIFFERENT`),
    ]),
  );
  screen.item('together', `${number(rows)} rows compared, ${number(differences)} differences`);
  for (const { table, key, a, b } of shown) {
    screen.say(`  ${table} ${key}`);
    for (const [side, text] of [
      ['a', a],
      ['b', b],
    ] as const)
      screen.say(`    ${side}  ${text === undefined ? '(no row)' : text.slice(0, 200)}`);
  }
}
