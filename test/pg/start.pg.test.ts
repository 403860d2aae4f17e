import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { type ApiClient, allPairs, openApiClient } from '../../shared/client/client.ts';
import { startChild } from '../support/child.ts';
import { openDatabase, type TestDatabase } from '../support/database.ts';
import { differences } from '../support/tables.ts';
import { until } from '../support/wait.ts';

const entry = 'infra/local/start.ts';
const COUNTERS = 20;
const schema = `
  create table counter (id int primary key, n int not null default 0);
  insert into counter select g from generate_series(1, ${COUNTERS}) g;
  create table item (id bigint primary key, t text);
  insert into item select g, 'row ' || g from generate_series(1, 2000) g`;

function makeHome(): string {
  const home = mkdtempSync(join(tmpdir(), 'pgtwin-home-'));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  return home;
}

/** Starts the platform as a user does, and waits until its API is there. */
async function start(home: string, env: Record<string, string>, args: readonly string[] = []) {
  const child = startChild(entry, ['--port', '0', ...args], { PGTWIN_HOME: home, ...env });
  onTestFinished(async () => {
    child.signalAll('SIGKILL');
    await child.gone();
  });
  const [, url = ''] = await child.line(/API +(http\S+)/);
  const [, token = ''] = await child.line(/token +(\S+)/);
  return { child, api: openApiClient({ url, token }) };
}

const reach = (api: ApiClient, state: string) =>
  until(
    `both tasks are ${state}`,
    async (saw) => {
      const [pair] = await allPairs(api);
      const states = pair && Object.values(pair.tasks).map((task) => task.state);
      saw([states, pair?.tasks.forward.error, pair?.tasks.reverse.error]);
      return states?.every((each) => each === state);
    },
    { timeoutMs: 60_000 },
  );

/** Writes on one side until stopped: its own counters up by one, and new rows. Knows what it has committed. */
function startWriter(database: TestDatabase, parity: 0 | 1) {
  const counts = new Map<number, number>();
  let stopped = false;
  let next = 1_000_000 + parity;
  const ended = (async () => {
    while (!stopped) {
      const id = parity + 2 * Math.floor(Math.random() * (COUNTERS / 2)) + (parity === 0 ? 2 : 0);
      await database.query('begin');
      await database.query('update counter set n = n + 1 where id = $1', [id]);
      await database.query('insert into item values ($1, $2)', [next, `of ${database.side}`]);
      await database.query('commit');
      counts.set(id, (counts.get(id) ?? 0) + 1);
      next += 2;
      await pause(3);
    }
  })();
  const written = (): number => [...counts.values()].reduce((sum, n) => sum + n, 0);
  return {
    counts,
    /** Resolves after so many more transactions. */
    async writes(more: number) {
      const goal = written() + more;
      await until(`${goal} transactions`, async (saw) => {
        saw(written());
        return written() >= goal;
      });
    },
    async stop() {
      stopped = true;
      await ended;
    },
  };
}

test('killed with -9 at any moment under writes on both sides, it loses and doubles nothing', {
  timeout: 240_000,
}, async () => {
  const home = makeHome();
  await using a = await openDatabase('a', { schema });
  await using b = await openDatabase('b');
  const env = { PGTWIN_A: a.url, PGTWIN_B: b.url };
  const writers = [startWriter(a, 1)];
  let { child, api } = await start(home, env, ['--yes']);
  const { token } = api;
  const killAndRestart = async (whole: boolean): Promise<void> => {
    await writers.at(-1)?.writes(20 + Math.floor(Math.random() * 200));
    // The main process alone: what it started ends with it.
    if (whole) child.signalAll('SIGKILL');
    else child.process.kill('SIGKILL');
    await child.gone();
    ({ child, api } = await start(home, env));
    expect(api.token).toBe(token);
  };
  // While schema and rows are copied.
  await child.line(/Both tasks start/);
  await killAndRestart(true);
  await reach(api, 'Running');
  writers.push(startWriter(b, 0));
  for (const whole of [true, false, true]) await killAndRestart(whole);
  await writers[1]?.writes(50);
  for (const writer of writers) await writer.stop();

  const counters = 'select id, n from counter where n > 0 order by id';
  const written = writers.flatMap(({ counts }) => [...counts]).map(([id, n]) => ({ id, n }));
  written.sort((one, other) => one.id - other.id);
  await until(
    'both sides to be equal',
    async (saw) => {
      const found = await differences(a, b);
      saw([found, await allPairs(api).then((pairs) => pairs[0]?.tasks)]);
      return found.length === 0;
    },
    { timeoutMs: 60_000 },
  );
  expect(await a.rows(counters)).toEqual(written);
  expect(await b.rows(counters)).toEqual(written);
  expect(await a.superuserRows('select * from pgtwin.conflict')).toEqual([]);
  expect(await b.superuserRows('select * from pgtwin.conflict')).toEqual([]);

  // Nobody starts a second one on this folder meanwhile.
  const second = startChild(entry, ['--port', '0'], { PGTWIN_HOME: home });
  expect(await second.ended).toBe(1);
  expect(second.lines.join('\n')).toMatch(/already runs on \S+ \(process \d+, http:\S+\): stop it first/);

  const [pair] = await allPairs(api);
  await api.call('DELETE', `/v1/pairs/${pair?.id}`);
  await until('the pair to be released', async () => (await allPairs(api)).length === 0);
  expect([await a.leftovers(), await b.leftovers()]).toEqual([[], []]);
  child.signalAll('SIGINT');
  expect(await child.ended, child.lines.join('\n')).toBe(130);
  await child.gone();
});

test('without databases it says how to make a pair; its token is for its owner only', async () => {
  const home = makeHome();
  const { child, api } = await start(home, {});
  await child.line(/There is no pair yet/);
  await child.line(/Ctrl-C stops/);
  expect(child.lines.join('\n')).toContain(`curl -s -X POST ${api.url}/v1/pairs`);
  expect(statSync(join(home, 'api-token')).mode & 0o777).toBe(0o600);
  child.signalAll('SIGINT');
  expect(await child.ended).toBe(130);
});

test('what the precheck finds is printed, and nothing is started without --yes', async () => {
  const home = makeHome();
  await using a = await openDatabase('a', { schema: `${schema}; create table keyless (t text)` });
  await using b = await openDatabase('b');
  const { child, api } = await start(home, {
    PGTWIN_A: a.url,
    PGHOST: b.server.host,
    PGPORT: String(b.server.port),
    PGDATABASE: b.name,
    PGUSER: b.user,
    PGPASSWORD: b.password,
  });
  await child.line(/FAILED keys: 1 table without a usable key/);
  await child.line(/on side a: alter table .*keyless.* add column/);
  await child.line(/then check again/);
  const [pair] = await allPairs(api);
  expect(pair?.tasks.forward.state).toBe('PrecheckFailed');
  child.signalAll('SIGINT');
  expect(await child.ended).toBe(130);
});

test('a database that is not there is an error that says what to check', async () => {
  const home = makeHome();
  await using a = await openDatabase('a');
  const child = startChild(entry, ['--port', '0', a.url, a.url.replace(/[^/]*$/, 'nowhere')], {
    PGTWIN_HOME: home,
  });
  expect(await child.ended).toBe(1);
  const text = child.lines.join('\n');
  expect(text).toContain('nowhere');
  expect(text).not.toContain(a.password);
  await child.gone();
});
