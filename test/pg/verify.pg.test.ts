import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../../functions/cli/run.ts';
import { workOn } from '../../functions/monitor/verification/step.ts';
import { startMonitor } from '../../infra/local/monitor.ts';
import { openSecretStore } from '../../shared/aws/secret.ts';
import { openTable } from '../../shared/aws/table.ts';
import type { DifferencePage, TableReportPage } from '../../shared/client/verify-client.ts';
import type { CutoverReport, VerificationView } from '../../shared/client/verify-contract.ts';
import { openLog } from '../../shared/log/log.ts';
import { Repository } from '../../shared/task/repository.ts';
import type { Table } from '../../shared/task/table.ts';
import { VerificationStore } from '../../shared/verify/store.ts';
import { openPlatform, openTwin, type TestPlatform, type Twin } from '../support/twin.ts';
import { until } from '../support/wait.ts';

let on: TestPlatform;
let monitor: ReturnType<typeof startMonitor>;
beforeAll(async () => {
  on = await openPlatform();
  monitor = openMonitor();
});
const openMonitor = () =>
  startMonitor({
    env: on.platform.env,
    everyMs: 3_000,
    onLine: (line) => {
      if (process.env['PGTWIN_TEST_LOG']) process.stderr.write(`${line}\n`);
    },
  });
afterAll(async () => {
  await monitor?.stop();
  await on?.[Symbol.asyncDispose]();
});

const schema = /* sql */ `
  create table item (id int primary key, n int not null default 0, t text);
  insert into item select g, 0, 'row ' || g from generate_series(1, 3000) g;
  create table word (k text, v smallint, note varchar(40), primary key (k, v));
  insert into word select k, v, k || v from unnest(array['', ' ', 'a b', 'A b', E'tab\\t', E'line\\nend', '"q"', '{x,y}',
    E'back\\\\slash', 'NULL', 'über', '日本', '''s', '%_']) k, generate_series(1, 3) v;
  create table doc (id uuid primary key, body text, raw bytea, x float8, at timestamptz default '2026-01-01 00:00Z',
    length int generated always as (char_length(body)) stored);
  insert into doc (id, body, raw, x)
    select md5(g::text)::uuid, (select string_agg(md5(g::text || p), '') from generate_series(1, 400) p), '\\x00ff', 1.0 / g
      from generate_series(1, 40) g;
  create table price (k numeric primary key, v numeric);
  insert into price select g * 1.50, g from generate_series(1, 20) g`;

/** Writes that the side's capture takes for apply's own: they never leave it. */
async function hidden(twin: Twin, side: 'a' | 'b', sql: string): Promise<void> {
  const task = `${twin.pair}_${side === 'b' ? 'f' : 'r'}`;
  await twin[side].superuserRows(/* sql */ `
    begin;
    set local session_replication_role = replica;
    update pgtwin.apply_progress set applied_at = now() where task = '${task}';
    ${sql};
    commit`);
}

/** Updates of few rows, some of them the same on both sides, now and then, until it is stopped. */
function startWriter(
  twin: Twin,
  ids: readonly number[],
  { sides = ['a', 'b'], pauseSeconds = 0.3 }: { sides?: readonly ('a' | 'b')[]; pauseSeconds?: number } = {},
): AsyncDisposable & { stop(): Promise<void> } {
  let stopped = false;
  const write = async (side: 'a' | 'b'): Promise<void> => {
    const client = await twin[side].connect();
    for (let n = 0; !stopped; n++) {
      const id = ids[n % ids.length];
      await client.query('update item set n = n + 1, t = $2 where id = $1', [id, `${side}${n}`]);
      await client.query('select pg_sleep($1)', [pauseSeconds]);
    }
  };
  const all = sides.map(write);
  const stop = async (): Promise<void> => {
    stopped = true;
    await Promise.all(all);
  };
  return { stop, [Symbol.asyncDispose]: stop };
}

/** The command line against the platform; a line is cut at spaces. */
async function pgtwin(line: string): Promise<{ code: number; out: string; err: string }> {
  const [, , token = ''] = (on.platform.env['PGTWIN_API_TOKENS'] ?? '').split(':');
  const [out, err]: [string[], string[]] = [[], []];
  const code = await run(line.split(' '), {
    out: { columns: 200, write: (text) => out.push(text) },
    err: { write: (text) => err.push(text) },
    ...{ terminal: false, colours: false },
    variables: { PGTWIN_API: on.platform.apiUrl, PGTWIN_TOKEN: token },
    readFile: () => Promise.reject(new Error('no file')),
    writeFile: () => Promise.reject(new Error('no file')),
    signal: new AbortController().signal,
  });
  return { code, out: out.join(''), err: err.join('') };
}

const runsOf = (twin: Twin): string => `/v1/pairs/${twin.pair}/verifications`;

async function ended(twin: Twin, id: string): Promise<VerificationView> {
  return until(
    'the verification to end',
    async (saw) => {
      const run = await on.call<VerificationView>('GET', `${runsOf(twin)}/${id}`);
      saw(run);
      return run.status !== 'verifying' && run.status !== 'repairing' && run;
    },
    { timeoutMs: 60_000 },
  );
}

async function verify(twin: Twin, options: object = {}): Promise<VerificationView> {
  const { id } = await on.call<VerificationView>('POST', runsOf(twin), options);
  return ended(twin, id);
}

/** Differences as `table key kind columns`, sorted. */
async function found(twin: Twin, { id }: VerificationView): Promise<string[]> {
  const all: string[] = [];
  let cursor: string | undefined;
  do {
    const query = cursor === undefined ? '' : `?cursor=${cursor}`;
    const page = await on.call<DifferencePage>(
      'GET',
      `${runsOf(twin)}/${id}/differences${query.replaceAll('#', '%23')}`,
    );
    for (const { a, key, kind, columns } of page.differences)
      all.push([a.name, JSON.stringify(key), kind, columns.join()].join(' ').trim());
    cursor = page.next;
  } while (cursor);
  return all.sort();
}

async function repair(twin: Twin, { id }: VerificationView, order: object): Promise<VerificationView> {
  await on.call('POST', `${runsOf(twin)}/${id}/repair`, order);
  return ended(twin, id);
}

const onB = /* sql */ `
  delete from item where id in (7, 1500, 3000);
  insert into item values (0, 5, 'only on b'), (4000, 5, 'only on b');
  update item set t = null where id = 11;
  update item set t = '' where id = 12;
  update item set n = -1 where id = 13;
  delete from word where k = '' and v = 1;
  update word set note = null where k = E'line\\nend' and v = 2;
  insert into word values ('{x,y}', 9, '');
  update doc set body = overlay(body placing '!' from 9000) where id = md5('3')::uuid;
  update doc set raw = '\\x00fe', x = 0.1 + 0.2 where id = md5('4')::uuid;
  update price set v = 7.00 where k = 10.5`;
const asFound = [
  'doc ["a87ff679-a2f3-e71d-9181-a67b7542122c"] different raw,x',
  'doc ["eccbc87e-4b5c-e2fe-2830-8fd9f2a7baf3"] different body',
  'item ["0"] missing-on-a',
  'item ["11"] different t',
  'item ["12"] different t',
  'item ["13"] different n',
  'item ["1500"] missing-on-b',
  'item ["3000"] missing-on-b',
  'item ["4000"] missing-on-a',
  'item ["7"] missing-on-b',
  'price ["10.50"] different v',
  'word ["","1"] missing-on-b',
  'word ["line\\nend","2"] different note',
  'word ["{x,y}","9"] missing-on-a',
].sort();

test('all differences are found and none else while both sides write, and repaired by either side', async () => {
  await using twin = await openTwin(on, { schema });
  await hidden(twin, 'a', `update item set t = '' where id = 11; update item set t = null where id = 12`);
  await hidden(twin, 'b', onB);
  const hot = [20, 21, 22, 2000];
  await using writer = startWriter(twin, hot);
  const run = await verify(twin);
  const reports = await on.call<TableReportPage>('GET', `${runsOf(twin)}/${run.id}/tables`);
  expect(reports.tables.map(({ a, error, way }) => [a.name, error?.code, way])).toEqual([
    ['doc', undefined, 'both'],
    ['item', undefined, 'both'],
    ['price', undefined, 'both'],
    ['word', undefined, 'both'],
  ]);
  expect(await found(twin, run)).toEqual(asFound);
  expect(run).toMatchObject({
    status: 'finished',
    equal: false,
    counts: { missingOnA: 3, missingOnB: 4, different: 7, extra: 0 },
  });
  expect(run.counts.rowsOnA).toBe(3000 + 42 + 40 + 20);

  // The same keys are written while they are repaired.
  await using other = startWriter(twin, [7, 11, 13, 1500, 3000]);
  const repaired = await repair(twin, run, { winner: 'a' });
  await Promise.all([other.stop(), writer.stop()]);
  expect(repaired.repair).toMatchObject({ repaired: 14, refused: 0 });
  expect(await verify(twin)).toMatchObject({ equal: true, counts: { different: 0, missingOnB: 0 } });
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
  const states = await twin.a.rows('select id, t from item where id in (0, 11, 12, 4000) order by id');
  expect(states.map(({ id }) => id)).toEqual([11, 12]);

  // Now the arbiter's rows win in one table, the follower's in the other; one key is left alone.
  await hidden(
    twin,
    'b',
    `update item set n = -5 where id in (31, 32); insert into item values (5000, 1, 'b')`,
  );
  await hidden(twin, 'b', `delete from word where k = 'über'`);
  const second = await verify(twin, {
    tables: [
      { schema: 'public', table: 'item' },
      { schema: '*', table: 'wor*' },
    ],
  });
  expect(second.counts).toMatchObject({ different: 2, missingOnA: 1, missingOnB: 3 });
  await repair(twin, second, {
    winner: 'b',
    keys: [
      { schema: 'public', name: 'item', key: ['31'] },
      { schema: 'public', name: 'item', key: ['5000'] },
    ],
  });
  await repair(twin, second, { winner: 'b', tables: [{ schema: 'public', table: 'word', winner: 'a' }] });
  await twin.settle();
  expect(await twin.differences()).toMatchObject([{ table: 'public.item', key: ['32'] }]);
  expect(await twin.a.rows('select id, n from item where id in (31, 5000) order by id')).toEqual([
    { id: 31, n: -5 },
    { id: 5000, n: 1 },
  ]);
  expect(await twin.b.rows(`select count(*)::int as n from word where k = 'über'`)).toEqual([{ n: 3 }]);

  const { events } = await on.call<{ events: { input: string; cause: string }[] }>(
    'GET',
    `/v1/pairs/${twin.pair}/tasks/reverse/events?limit=50`,
  );
  expect(events.filter(({ input }) => input === 'verification').length).toBeGreaterThanOrEqual(8);
});

test('a sample looks at pages of both sides; each side for itself; and work that is killed goes on', async () => {
  await using twin = await openTwin(on, { schema, forward: { decide: 'each-side' } });
  await hidden(twin, 'b', `update item set n = 9 where id <= 150`);
  const run = await verify(twin, { mode: 'sampled', samplePercent: 100, maxKeys: 60 });
  expect(run.counts).toMatchObject({ different: 150, missingOnB: 0 });
  expect((await found(twin, run)).length).toBe(60);
  // Each side decides for itself: the loser takes the winner's rows.
  const repaired = await repair(twin, run, { winner: 'a' });
  expect(repaired.repair).toMatchObject({ repaired: 60, refused: 0 });
  expect(await twin.b.rows('select count(*)::int as n from item where n = 9')).toEqual([{ n: 90 }]);

  // Killed again and again at its writes, before them and after them, the work comes to the same.
  await monitor.stop();
  const again = await on.call<VerificationView>('POST', runsOf(twin), { maxKeys: 5000, repair: 'b' });
  const killed = await workKilledOften(twin, again.id);
  monitor = openMonitor();
  expect(killed).toBeGreaterThan(3);
  const done = await ended(twin, again.id);
  expect(done.counts).toMatchObject({ rowsOnA: 3102, rowsOnB: 3102, different: 90 });
  expect(done.repair).toMatchObject({ repaired: 90, refused: 0 });
  expect((await found(twin, again)).length).toBe(90);
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
});

/** Does the work of a run in this process, in steps that end at one write after the other; how many there were. */
async function workKilledOften(twin: Twin, run: string): Promise<number> {
  const { env } = on.platform;
  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
  const table = openTable('pgtwin', {
    endpoint: env['AWS_ENDPOINT_URL_DYNAMODB']!,
    region: 'us-east-1',
    credentials,
  });
  const secrets = openSecretStore(env['PGTWIN_SECRETS']!);
  for (let killed = 0; ; killed++) {
    const { run: before } = await new VerificationStore(table).get(twin.pair, run);
    if (before.status === 'finished') return killed;
    let kill = (): void => {};
    const death = new Promise<void>((resolve) => {
      kill = resolve;
    });
    let writes = 0;
    const mortal: Table = {
      ...table,
      async put(item, expected) {
        // A step claims the run first; each gets a little further than the one before.
        if (++writes <= 2 + 2 * killed) return table.put(item, expected);
        if (killed % 2 === 0) await table.put(item, expected);
        kill();
        return new Promise<never>(() => {});
      },
    };
    const repository = new Repository(mortal);
    // The lease of the killed one has run out.
    const now = () => Date.now() + killed * 60_000;
    const time = { now, sleep: (ms: number) => setTimeout(ms), deadline: now() + 60_000 };
    const log = openLog({ write: () => {} });
    const work = workOn(
      { repository, store: new VerificationStore(mortal), secrets, log, time },
      twin.pair,
      run,
    );
    await Promise.race([work, death]);
  }
}

test('one way, by commands: rows that only the destination has are extra, and the source wins', async () => {
  await using twin = await openTwin(on, { schema, oneWay: true });
  // An order of its own: ranges of this key are then those of its bytes.
  await twin.b.query('alter table word alter k type text collate "de-x-icu"');
  await twin.b.query(`insert into item values (9000, 1, 'extra'); delete from item where id = 5;
    delete from word where k = 'über' and v = 2; update doc set body = 'short' where id = md5('7')::uuid`);
  const started = await pgtwin(`verify start ${twin.pair} --wait --timeout 60`);
  expect([started.code, started.out]).toEqual([1, expect.stringMatching(/finished: not equal/)]);
  const report = await pgtwin(`verify report ${twin.pair}`);
  expect(report.out).toMatch(/^public\.word +42 +41 +1 +0 +0 +0 .* every range reads the whole table/m);
  expect(report.out).toMatch(/^public\.doc +8f14e45f-ceea-167a-5a36-dedd4bea2543 +different +body +open$/m);
  expect(report.out).toMatch(/^public\.item +5 +missing-on-b +open$/m);
  expect(report.out).toMatch(/^public\.item +9000 +extra +open$/m);
  expect(report.out).toMatch(/^public\.word +über, 2 +missing-on-b +open$/m);
  const refused = await pgtwin(`verify repair ${twin.pair} --winner b --yes`);
  expect([refused.code, refused.err]).toEqual([1, expect.stringMatching(/only side a can win/)]);
  await using writer = startWriter(twin, [5, 6], { sides: ['a'], pauseSeconds: 0.3 });
  const repaired = await pgtwin(`verify repair ${twin.pair} --winner a --yes --wait --timeout 60`);
  expect([repaired.code, repaired.out]).toEqual([0, expect.stringMatching(/side a wins: 4 repaired, 0 not/)]);
  await writer.stop();
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
});

test('cut-over moves sequences past what is taken, keeps odd and even, never back, and can be repeated', async () => {
  await using twin = await openTwin(on, {
    schema: /* sql */ `
      create table serial_key (id serial primary key);
      create table identity_key (id bigint generated always as identity (increment 2 start 1) primary key, t text);
      create table given (id int primary key);
      create sequence free_one start 100;
      create sequence down increment -1 minvalue -1000 maxvalue 10 start 10;
      create table falling (id int primary key default nextval('down'));
      create sequence given_seq; alter table given alter id set default nextval('given_seq');
      select nextval('free_one'), nextval('free_one')`,
  });
  const { a, b } = twin;
  await b.query('create sequence if not exists free_one start 100');
  await b.query(
    'alter table identity_key alter id restart with 2; alter sequence given_seq rename to seq_there',
  );
  await a.query(`insert into serial_key select from generate_series(1, 5);
    insert into identity_key (t) select 'x' from generate_series(1, 4);
    insert into given values (70), (71); insert into falling select from generate_series(1, 3)`);
  await twin.settle();
  await b.query(`select setval('serial_key_id_seq', 900)`);
  const path = `/v1/pairs/${twin.pair}/cutover`;
  const dry = await pgtwin(`cutover ${twin.pair} --dry-run --json`);
  const shown = JSON.parse(dry.out) as CutoverReport;
  expect(shown).toMatchObject({ ready: true, dryRun: true });
  const values = ({ sequences }: CutoverReport) =>
    Object.fromEntries(sequences.map((s) => [s.name, [s.old, s.new]]));
  const expected = {
    down: ['10', '7'],
    free_one: ['100', '102'],
    identity_key_id_seq: ['2', '8'],
    seq_there: ['1', '72'],
    serial_key_id_seq: ['901', '901'],
  };
  expect(values(shown)).toEqual(expected);
  expect(await b.rows(`select last_value::int as n from seq_there`)).toEqual([{ n: 1 }]);
  const done = await on.call<CutoverReport>('POST', path, { direction: 'forward' });
  expect([values(done), done.sql]).toEqual([expected, shown.sql]);
  await b.query(`insert into serial_key default values; insert into identity_key (t) values ('y');
    insert into given default values; insert into falling default values`);
  expect(await b.rows('select max(id)::int as id from identity_key')).toEqual([{ id: 8 }]);
  const again = await on.call<CutoverReport>('POST', path);
  expect(again.sql).toEqual([]);
  // And back: a has given less than b by now.
  await twin.settle();
  const back = await on.call<CutoverReport>('POST', path, { direction: 'reverse' });
  expect(values(back)).toMatchObject({ serial_key_id_seq: ['6', '902'], identity_key_id_seq: ['9', '9'] });
  await a.query(`insert into serial_key default values; insert into given default values`);
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
  await twin.act('reverse', 'pause');
  await twin.reach('reverse', 'Paused');
  await expect(on.call('POST', path)).rejects.toThrow(/409.*reverse task is Paused/);
  await twin.act('reverse', 'resume');
  await twin.reach('reverse', 'Running');
});

test('cut-over finds sequences that fill no column in schemas with other names, both ways', async () => {
  const objects = (from: string, to: string) => ({
    objects: {
      include: [{ schema: from, table: '*' }],
      mapping: { names: [{ schema: from, to }] },
    },
  });
  await using twin = await openTwin(on, {
    schema: /* sql */ `create schema shop; create table shop.item (id int primary key);
      create sequence shop.free start 100; select nextval('shop.free'), nextval('shop.free'), nextval('shop.free');
      create sequence shop.only_here`,
    // One of the same name where it is called on the source: not this one.
    there:
      'create schema store; create sequence store.free start 100; create schema shop; create sequence shop.free',
    forward: objects('shop', 'store'),
    reverse: objects('store', 'shop'),
  });
  const path = `/v1/pairs/${twin.pair}/cutover`;
  const done = await on.call<CutoverReport>('POST', path, { direction: 'forward' });
  expect(done.sequences).toMatchObject([
    { schema: 'store', name: 'free', source: '102', old: '100', new: '103' },
    { name: 'only_here', note: expect.stringMatching(/no such sequence/) },
  ]);
  expect(await twin.b.rows(`select last_value::int as n from shop.free`)).toEqual([{ n: 1 }]);
  await twin.b.query(`select nextval('store.free'), nextval('store.free')`);
  const back = await on.call<CutoverReport>('POST', path, { direction: 'reverse' });
  expect(back.sequences).toMatchObject([{ schema: 'shop', name: 'free', old: '103', new: '105' }]);
});

test('tables with a filter or steps are reported as skipped, with the reason', async () => {
  await using twin = await openTwin(on, {
    schema: /* sql */ `create table whole (id int primary key); create table part (id int primary key, n int);
      insert into whole values (1); insert into part values (1, 1), (2, 2)`,
    oneWay: true,
    forward: {
      objects: {
        include: [{ schema: 'public', table: '*' }],
        filters: [{ schema: 'public', table: 'part', where: 'n > 1' }],
      },
    },
  });
  const run = await verify(twin);
  expect(run).toMatchObject({ status: 'finished', equal: true, tables: 1, tablesSkipped: 1 });
  const { tables } = await on.call<TableReportPage>('GET', `${runsOf(twin)}/${run.id}/tables`);
  expect(tables.map(({ a, skipped }) => [a.name, skipped])).toEqual([
    ['whole', undefined],
    ['part', expect.stringMatching(/forward task leaves rows out by a filter/)],
  ]);
  expect((await pgtwin(`verify status ${twin.pair}`)).out).toMatch(
    /1 of 1, 1 with a filter or steps skipped/,
  );
  expect((await pgtwin(`verify report ${twin.pair}`)).out).toMatch(/^public\.part .* skipped: Not compared/m);
  await expect(
    on.call('POST', runsOf(twin), { tables: [{ schema: 'public', table: 'part' }] }),
  ).rejects.toThrow(/422.*nothing can be compared.*by a filter/);
});

test('a restart with repair: rows that were changed on both sides meanwhile end identical', async () => {
  await using twin = await openTwin(on, { schema, forward: { conflictPolicy: 'ignore' } });
  const both = ['forward', 'reverse'] as const;
  for (const direction of both) await twin.act(direction, 'pause');
  for (const direction of both) await twin.reach(direction, 'Paused');
  await twin.a.query(`update item set t = 'a' where id <= 10; insert into item values (4000, 1, 'a');
    update doc set body = 'a' where id = md5('1')::uuid`);
  await twin.b.query(
    `update item set t = 'b' where id between 5 and 20; insert into item values (5000, 1, 'b')`,
  );
  expect((await pgtwin(`restart ${twin.pair} --repair policy --yes --wait`)).code).toBe(0);
  const [run] = await until(
    'the repair to be done',
    async (saw) => {
      const { verifications } = await on.call<{ verifications: VerificationView[] }>('GET', runsOf(twin));
      saw(verifications);
      return verifications[0]?.status === 'finished' && verifications;
    },
    { timeoutMs: 90_000 },
  );
  // 20 of item and one of doc.
  expect(run).toMatchObject({ counts: { different: 21 }, repair: { repaired: 21, refused: 0 } });
  expect(await twin.differences()).toEqual([]);
  // The arbiter's rows stayed, and nothing that one side alone had was lost.
  expect(await twin.a.rows(`select t from item where id = 7 or id > 3999 order by id`)).toEqual(
    ['b', 'a', 'b'].map((t) => ({ t })),
  );
  for (const direction of both) {
    const { events } = await on.call<{ events: { cause: string }[] }>(
      'GET',
      `/v1/pairs/${twin.pair}/tasks/${direction}`,
    );
    const causes = events.map(({ cause }) => cause).join('\n');
    expect(causes).toMatch(/verification .* after the restart of the forward and reverse task.*policy says/);
    expect(causes).toMatch(/finished: 21 differing rows; repaired 21, not 0/);
  }
});

test('after a restart the rows are compared without anybody asking, and what differs can be repaired', async () => {
  await using twin = await openTwin(on, { schema });
  for (const direction of ['forward', 'reverse'] as const) await twin.act(direction, 'pause');
  for (const direction of ['forward', 'reverse'] as const) await twin.reach(direction, 'Paused');
  await twin.a.query(`update item set t = 'a' where id <= 10`);
  await twin.b.query(`insert into item values (5000, 1, 'b')`);
  for (const direction of ['forward', 'reverse'] as const) await twin.act(direction, 'restart');
  for (const direction of ['forward', 'reverse'] as const) await twin.reach(direction, 'Running');
  const path = `/v1/pairs/${twin.pair}/verifications`;
  const runs = async () => (await on.call<{ verifications: VerificationView[] }>('GET', path)).verifications;
  const finished = () =>
    until(
      'the verification to be finished',
      async (saw) => {
        const found = await runs();
        saw(found);
        return found[0]?.status === 'finished' && found[0];
      },
      { timeoutMs: 90_000 },
    );
  const first = await finished();
  expect(first).toMatchObject({ by: 'monitor', counts: { different: 10, missingOnA: 0, missingOnB: 0 } });
  await until('the history to say so', async (saw) => {
    const task = `/v1/pairs/${twin.pair}/tasks/forward`;
    const { events } = await on.call<{ events: { input: string; cause: string }[] }>('GET', task);
    const causes = events.filter(({ input }) => input === 'verification').map(({ cause }) => cause);
    saw(causes);
    return causes.some((cause) => cause.includes('finished: 10 differing rows'));
  });

  await on.call('POST', `${path}/${first.id}/repair`, { winner: 'a' });
  await until(
    'the repair to be done',
    async (saw) => {
      const found = await twin.differences();
      saw(found);
      return found.length === 0;
    },
    { timeoutMs: 60_000 },
  );
  // Once for these generations.
  await setTimeout(7_000);
  expect(await runs()).toHaveLength(1);
});
