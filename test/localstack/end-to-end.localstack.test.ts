import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import type { VerificationView } from '../../shared/client/verify-contract.ts';
import { openDatabase, type TestDatabase } from '../support/database.ts';
import { procedures, ways } from '../support/procedure.ts';
import { isOwn, openStack, type TestStack } from '../support/stack.ts';
import { differences } from '../support/tables.ts';
import { openTwin, type Twin } from '../support/twin.ts';
import { until } from '../support/wait.ts';

let stack: TestStack;
beforeAll(async () => {
  // At the default level the functions say nothing of what goes well.
  stack = await openStack(inject('localstack'), { applyTimeoutSeconds: '30', log: 'debug' });
  stack.startCapture();
});
beforeEach(({ onTestFailed }) => {
  onTestFailed(async () => console.error(await stack.lastWords()));
});
afterAll(() => stack?.[Symbol.asyncDispose]());

/** In every value that a user could want kept to himself. */
const secretWord = 'rosebud';
const schema = /* sql */ `
  create table item (id bigint primary key, owner text not null, note text, amount numeric(12, 2));
  create table wide (id int primary key, payload text not null);
  create table emptied (id int primary key, note text);
  create table counter (id int primary key, n bigint not null);
  insert into item select g, 'rosebud', 'row ' || g, g / 7.0 from generate_series(1, 4000) g;
  insert into emptied select g, 'rosebud' from generate_series(1, 500) g;
  insert into counter select g, 0 from generate_series(1, 8) g`;

test('the life of a pair: copy, writes on both sides, pause, logs, release', async () => {
  await using twin = await openTwin(stack, { schema, account: 'plain', through: stack.through });
  const { a, b, pair } = twin;
  expect(await twin.differences()).toEqual([]);
  expect(await b.rows('select count(*)::int as n from item')).toEqual([{ n: 4000 }]);

  await writeOnBothSides(twin);
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
  expect(await a.rows(shapeOfItems)).toEqual([{ n: 4199, moved: 1, a: 100, b: 100 }]);
  expect(await b.rows('select count(*)::int as n from wide')).toEqual([{ n: 60_000 }]);
  expect(await a.rows('select from emptied')).toEqual([]);
  // The large transaction did not fit into a message.
  expect((await stack.parts(`${pair}_f`)).length).toBeGreaterThan(1);

  await verifyAndRepair(twin);

  const writers = [openWriter(a, [1, 2]), openWriter(b, [3, 4])];
  await twin.act('forward', 'pause');
  await twin.reach('forward', 'Paused');
  await Promise.all(writers.map((writer) => writer.more(50)));
  await twin.act('forward', 'resume');
  await twin.reach('forward', 'Running');
  const counted = (await Promise.all(writers.map((writer) => writer.stop()))).flat();
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
  expect(await b.rows('select id, n::int from counter where id <= 4 order by id')).toEqual(counted);
  expect(await twin.conflicts()).toEqual([]);

  await logsOf(twin);
  expect((await stack.holds(pair)).length).toBeGreaterThan(0);
  await twin.release();
  expect(await stack.holds(pair)).toEqual([]);
});

const shapeOfItems = /* sql */ `
  select count(*)::int as n, count(*) filter (where id = 99001)::int as moved,
    count(*) filter (where note = 'from a')::int as a, count(*) filter (where note = 'from b')::int as b
  from item`;

async function writeOnBothSides({ a, b }: Twin): Promise<void> {
  await a.query(/* sql */ `
    begin;
    insert into item select g, 'rosebud', 'from a', null from generate_series(10001, 10100) g;
    update item set amount = amount + 1 where id between 1 and 200;
    delete from item where id = 300;
    commit`);
  await b.query(/* sql */ `
    begin;
    insert into item select g, 'rosebud', 'from b', 'NaN' from generate_series(20001, 20100) g;
    update item set note = null where id between 3001 and 3100;
    commit`);
  // A change of the key, and a table emptied from the other side than it was filled from.
  await a.query('update item set id = 99001 where id = 301');
  await b.query('truncate emptied');
  // Some 12 MB of which nothing compresses well, in one transaction.
  await a.query(/* sql */ `
    insert into wide select g, (select string_agg(md5(random()::text || part), '') from generate_series(1, 6) part where g > 0)
    from generate_series(1, 60000) g`);
  await b.query('insert into counter values (100, 7)');
}

/** A difference that no stream knows of: the monitor's function finds it, and makes b's row a's. */
async function verifyAndRepair({ a, b, pair }: Twin): Promise<void> {
  await b.superuserRows(/* sql */ `
    begin;
    update pgtwin.apply_progress set applied_at = now() where task = '${pair}_f';
    update item set note = 'rosebud?' where id = 77;
    commit`);
  const path = `/v1/pairs/${pair}/verifications`;
  const { id } = await stack.call<VerificationView>('POST', path, { repair: 'a' });
  const run = await until('the verification to end', async (saw) => {
    await stack.invokeMonitor(['verification']);
    const read = await stack.call<VerificationView>('GET', `${path}/${id}`);
    saw(read);
    return read.status === 'finished' && read;
  });
  expect(run).toMatchObject({
    tablesDone: 4,
    counts: { different: 1, missingOnA: 0 },
    repair: { repaired: 1 },
  });
  expect(run.counts.rowsOnA).toBeGreaterThan(64_000);
  expect(await b.rows('select note from item where id = 77')).toEqual(
    await a.rows('select note from item where id = 77'),
  );
}

/** Every line that the functions wrote is JSON, theirs name the task, and none holds what must stay secret. */
async function logsOf({ a, b, pair }: Twin): Promise<void> {
  for (const name of ['apply', 'copy'] as const) {
    const text = name === 'apply' ? 'applied' : 'chunk copied';
    const own = await until(`${name} to have logged "${text}"`, async () => {
      const written = (await stack.logLines(name)).filter(isOwn);
      return written.some((line) => line.includes(`"${text}"`)) && written;
    });
    const entries = own.map((line) => JSON.parse(line) as Record<string, unknown>);
    for (const entry of entries) expect(entry).toMatchObject({ area: name, task: expect.any(String) });
    const tasks = new Set(entries.filter((entry) => entry['text'] === text).map((entry) => entry['task']));
    expect([...tasks]).toContain(`${pair}_f`);
    if (name === 'apply') expect([...tasks]).toContain(`${pair}_r`);
  }
  const everything = [
    ...(await stack.logLines('apply')),
    ...(await stack.logLines('copy')),
    ...(await stack.logLines('api')),
    ...stack.captureLines,
  ].join('\n');
  for (const secret of [secretWord, a.password, b.password]) expect(everything).not.toContain(secret);
}

test('a capture that is killed under writes, twice: every change arrives exactly once', async () => {
  await using twin = await openTwin(stack, {
    schema: /* sql */ `
      create table counter (id int primary key, n bigint not null);
      insert into counter select g, 0 from generate_series(1, 8) g`,
    through: stack.through,
  });
  const { a, b } = twin;
  const writers = [openWriter(a, [1, 2, 3, 4]), openWriter(b, [5, 6, 7, 8])];
  const more = (count: number) => Promise.all(writers.map((writer) => writer.more(count)));
  await more(100);
  const additions = async (side: TestDatabase, ids: string) => {
    const [row] = await side.rows<{ n: number }>(`select sum(n)::int as n from counter where id ${ids}`);
    return row!.n;
  };
  for (let kill = 0; kill < 2; kill++) {
    await stack.killCapture();
    await more(100);
    // What was written while there was no capture can only come by the next one, which meets its end under way.
    const goals = await Promise.all([additions(a, '<= 4'), additions(b, '> 4')]);
    stack.startCapture();
    await until(
      'what was written without a capture to arrive',
      async (saw) => {
        const arrived = await Promise.all([additions(b, '<= 4'), additions(a, '> 4')]);
        saw({ arrived, goals });
        return arrived.every((n, side) => n >= goals[side]!);
      },
      { timeoutMs: 60_000 },
    );
  }
  const counted = (await Promise.all(writers.map((writer) => writer.stop()))).flat();
  await twin.settle();
  for (const side of [a, b])
    expect(await side.rows('select id, n::int from counter order by id')).toEqual(counted);
  expect(await twin.differences()).toEqual([]);
  expect(await twin.conflicts()).toEqual([]);
  await twin.release();
  expect(await stack.holds(twin.pair)).toEqual([]);
});

/** Adds 1 to one of the counters per transaction until it is stopped, as fast as the database takes it. */
function openWriter(side: TestDatabase, ids: readonly number[]) {
  const counted = new Map(ids.map((id) => [id, 0]));
  let total = 0;
  let stopped = false;
  const running = (async () => {
    const client = await side.connect();
    while (!stopped) {
      const id = ids[total % ids.length]!;
      await client.query('update counter set n = n + 1 where id = $1', [id]);
      counted.set(id, counted.get(id)! + 1);
      total += 1;
    }
  })();
  // Told by `more` and `stop`; where a test has failed before, its databases end under the writer.
  running.catch(() => undefined);
  return {
    /** Waits until so many more transactions were committed. */
    async more(count: number): Promise<void> {
      const goal = total + count;
      await Promise.race([running, until(`${count} more writes`, async () => total >= goal)]);
    },
    async stop(): Promise<{ id: number; n: number }[]> {
      stopped = true;
      await running;
      return [...counted].map(([id, n]) => ({ id, n }));
    },
  };
}

test.each(ways)('the whole procedure by %s, from a new pair to both tasks Running', async (way) => {
  await using a = await openDatabase('a', {
    schema: `create table item (id int primary key, t text); insert into item select g, 'row' from generate_series(1, 300) g`,
    mustEndClean: true,
  });
  await using b = await openDatabase('b', { mustEndClean: true });
  const { apiUrl, token, call, through } = stack;
  const reached = ({ side, url, password }: TestDatabase) =>
    through[side](url.replace(`:${password}@`, '@')).replace(/[?].*$/, '');
  const pair = await procedures[way]({
    ...{ apiUrl, token, call },
    urls: { a: reached(a), b: reached(b) },
    passwords: { a: a.password, b: b.password },
  });
  await a.query(`insert into item values (1000, 'from a')`);
  await b.query(`insert into item values (2000, 'from b')`);
  await until('both sides to be equal', async (saw) => {
    const found = await differences(a, b);
    saw(found);
    return found.length === 0;
  });
  expect(await a.rows('select count(*)::int as n from item')).toEqual([{ n: 302 }]);
  await call('DELETE', `/v1/pairs/${pair}`);
  await until('nothing of the pair to be left', async (saw) => {
    const left = await call('GET', `/v1/pairs/${pair}`).then(JSON.stringify, (error: Error) => error.message);
    saw(left);
    return left.includes(': 404');
  });
});
