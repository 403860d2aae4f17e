import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import type { ApiClient, Configure } from '../../shared/client/client.ts';
import type { PairView } from '../../shared/client/contract.ts';
import { precheckLines } from '../../shared/client/precheck-text.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { directions, type Side } from '../../shared/task/schema.ts';
import { makePair, reachBoth } from '../local/pair-setup.ts';
import type { DemoDatabase, DemoDatabases } from './databases.ts';
import { bar, number, type Screen } from './screen.ts';

/** So small that the bar moves; a task of a user has chunks of 250,000 rows. */
const CHUNK_ROWS = 5_000;
const config = {
  objects: { include: [{ schema: 'shop' }] },
  conflictPolicy: 'last-write-wins',
  chunkRows: CHUNK_ROWS,
} as const satisfies Configure;

const sideOf = ({ target }: DemoDatabase) => {
  const { host, port, database, user, password, tls } = target;
  return { host, port, database, user, password, tls };
};

/** Makes the pair with both tasks through the API and shows its precheck. Gives its id; nothing is started yet. */
export async function preparePair(api: ApiClient, databases: DemoDatabases, screen: Screen): Promise<string> {
  const { a, b } = databases;
  const pair = await makePair(api, { name: 'demo', sides: { a: sideOf(a), b: sideOf(b) }, config });
  screen.item('pair', `${pair}: forward a -> b, reverse b -> a, conflicts by last-write-wins`);
  const reports = await api.precheckBoth(pair, { ignoreAlerts: true });
  for (const [n, line] of precheckLines(reports).entries()) screen.item(n === 0 ? 'precheck' : '', line);
  const open = directions.flatMap((direction) =>
    (reports[direction]?.items ?? []).filter((item) => item.status !== 'passed' && !item.ignored),
  );
  if (open.length > 0)
    throw new PgtwinError('action-not-allowed', { detail: `The precheck failed: ${open[0]?.cause}` });
  return pair;
}

const copiedSql = /* sql */ `
select coalesce(sum(copied_rows), 0)::text as n from pgtwin.copy_chunk where task like '%\\_f'`;

/** Starts both tasks and shows the full copy, until changes go both ways. Gives the rows copied a second. */
export async function copyAll(options: {
  readonly api: ApiClient;
  readonly pair: string;
  readonly rows: number;
  readonly destination: pg.Client;
  readonly screen: Screen;
  readonly signal: AbortSignal;
}): Promise<number> {
  const { api, pair, rows, destination, screen, signal } = options;
  await api.act(pair, 'forward', 'start');
  const started = performance.now();
  let copiedAfter: number | undefined;
  const draw = (done: number, what: string): string => {
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    return `  ${bar(done / rows)} ${String(Math.floor((100 * done) / rows)).padStart(3)} %  ${number(done)} rows  ${seconds} s  ${what}`;
  };
  const copied = async (): Promise<number> => {
    // The helper schema is made first.
    const found = await destination.query<{ n: string }>(copiedSql).catch(() => undefined);
    const done = Math.min(rows, Number(found?.rows[0]?.n ?? 0));
    if (done === rows) copiedAfter ??= performance.now() - started;
    return done;
  };
  const wordsOf = ({ tasks }: PairView, done: number): string => {
    if (tasks.forward.state === 'Running') return 'the reverse task starts';
    return done === rows ? 'indexes and foreign keys' : '';
  };
  const looking = new AbortController();
  let words = '';
  const drawing = (async () => {
    while (!looking.signal.aborted) {
      screen.live(draw(await copied(), words));
      await pause(100);
    }
  })();
  try {
    const onLook = (facts: PairView): void => {
      words = wordsOf(facts, copiedAfter === undefined ? 0 : rows);
    };
    await reachBoth(api, pair, 'Running', { signal, onLook });
  } finally {
    looking.abort();
    await drawing;
  }
  screen.endLive(draw(await copied(), 'both tasks are running'));
  return rows / ((copiedAfter ?? performance.now() - started) / 1000);
}

/**
 * Odd numbers for a, even ones for b: the advice of the precheck's item "sequences", once the tables are on both
 * sides.
 */
export async function divideSequences(clients: Readonly<Record<Side, pg.Client>>): Promise<void> {
  for (const table of ['customers', 'accounts', 'products', 'orders', 'events', 'every_type']) {
    const { rows } = await clients.a.query<{ newest: string }>(
      /* sql */ `select coalesce(max(id), 0) / 2 * 2 as newest from shop.${table}`,
    );
    const even = Number(rows[0]?.newest) + 2;
    for (const side of ['a', 'b'] as const)
      await clients[side].query(
        /* sql */ `alter table shop.${table} alter column id set increment by 2 restart with ${side === 'a' ? even + 1 : even}`,
      );
  }
}

/** Rejects when a task fails, so that nobody waits for what will not come. */
export async function watchTasks(api: ApiClient, pair: string, signal: AbortSignal): Promise<never> {
  for (;;) {
    await pause(1000, undefined, { signal });
    const { tasks } = await api.getPair(pair);
    for (const direction of directions) {
      const { state, error } = tasks[direction];
      if (state === 'Failed')
        throw new PgtwinError('internal', {
          detail: `The ${direction} task failed: ${error?.code}: ${error?.detail}`,
        });
    }
  }
}
