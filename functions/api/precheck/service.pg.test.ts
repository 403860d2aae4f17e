import { expect, test } from 'vitest';
import { openTestApi } from '../../../test/support/api.ts';
import { openDatabase, type TestDatabase } from '../../../test/support/database.ts';

const sideOf = (database: TestDatabase) => ({ url: `${database.url}?sslmode=disable` });
const all = { objects: { include: [{ schema: 'public', table: '*' }] } };

/** A pair of two test databases, through the API. */
async function openPair(a: TestDatabase, b: TestDatabase) {
  const api = openTestApi();
  const { body } = await api.call('POST', 'pairs', { body: { sides: { a: sideOf(a), b: sideOf(b) } } });
  const id: string = body.id;
  const call = (method: string, path: string, request?: unknown) =>
    api.call(method, `pairs/${id}${path}`, request === undefined ? {} : { body: request });
  const state = async (direction: string) => (await call('GET', `/tasks/${direction}`)).body.state;
  return { api, id, call, state };
}

test('from the pair to the start: precheck, mend, precheck, start', async () => {
  await using a = await openDatabase('a', {
    schema: 'create table item (id uuid primary key); create table log (x int)',
  });
  await using b = await openDatabase('b');
  const { call, state } = await openPair(a, b);
  await call('PUT', '/tasks/forward', all);
  expect((await call('GET', '/tasks/forward/precheck')).status).toBe(404);

  const first = await call('POST', '/tasks/forward/precheck', { ignoreAlerts: true });
  expect(first.status).toBe(200);
  expect(first.body.ready).toBe(false);
  expect(first.body.successRate).toBeLessThan(100);
  const keys = first.body.items.find(({ item }: { item: string }) => item === 'keys');
  expect(keys).toMatchObject({ status: 'failed', ignorable: false, ignored: false });
  expect(await state('forward')).toBe('PrecheckFailed');
  expect((await call('POST', '/tasks/forward/start')).status).toBe(409);
  const ignored = await call('POST', '/tasks/forward/precheck/ignore', { item: 'keys' });
  expect(ignored.body).toMatchObject({ status: 422, field: 'item' });

  await a.query(keys.fix[0].sql);
  // Only what failed again; the rest of the report stays.
  const second = await call('POST', '/tasks/forward/precheck', { items: ['keys'], ignoreAlerts: true });
  expect(second.body).toMatchObject({ ready: true, successRate: 100, tables: 2 });
  expect(second.body.items).toHaveLength(first.body.items.length);
  expect(await state('forward')).toBe('PrecheckPassed');
  const started = await call('POST', '/tasks/forward/start');
  expect(started).toMatchObject({ status: 202, body: { state: 'Initializing', generation: 1 } });
});

test('an alert is ignored by name, with who and when, until the configuration changes', async () => {
  await using a = await openDatabase('a', {
    schema:
      'create table p (id uuid primary key); create table item (id uuid primary key, p uuid references p)',
  });
  await using b = await openDatabase('b');
  const { api, call, state } = await openPair(a, b);
  const config = { objects: { include: [{ schema: 'public', table: 'item' }] } };
  await call('PUT', '/tasks/forward', config);
  // Other tests may leave a transaction open on the server meanwhile: that is not this test's alert.
  const run = () => call('POST', '/tasks/forward/precheck', { ignore: ['long-transactions'] });
  expect((await run()).body.ready).toBe(false);
  expect(await state('forward')).toBe('PrecheckFailed');
  api.clock.at = new Date('2026-03-01T10:00:00Z');
  const after = await call('POST', '/tasks/forward/precheck/ignore', { item: 'foreign-keys' });
  expect(after.body).toMatchObject({ ready: true, successRate: 100 });
  expect(after.body.ignored).toContainEqual({
    item: 'foreign-keys',
    by: 'the-admin',
    at: '2026-03-01T10:00:00.000Z',
  });
  expect(await state('forward')).toBe('PrecheckPassed');
  expect((await run()).body.ready).toBe(true);
  await call('PUT', '/tasks/forward', config);
  expect((await call('GET', '/tasks/forward')).body.precheck).toBeUndefined();
  expect((await run()).body.ready).toBe(false);
  const unknown = await call('POST', '/tasks/forward/precheck', { ignore: ['weather'] });
  expect(unknown.body).toMatchObject({
    status: 422,
    field: 'ignore',
    detail: expect.stringMatching(/wal-level/),
  });
});

test('run again, only what had not passed; what is ignored stays so', async () => {
  await using a = await openDatabase('a', { schema: 'create table item (id int)' });
  await using b = await openDatabase('b');
  const { call } = await openPair(a, b);
  await call('PUT', '/tasks/forward', all);
  const first = await call('POST', '/tasks/forward/precheck', { ignoreAlerts: true });
  expect(first.body.ready).toBe(false);
  await a.query('alter table item add primary key (id)');
  await b.query('create table item (id int primary key); insert into item values (1)');
  // The table on the destination came in between: that item had passed, and is not looked at again.
  const again = await call('POST', '/tasks/forward/precheck', { onlyOpen: true });
  expect(again.body).toMatchObject({ ready: true, ignored: first.body.ignored });
  expect(again.body.items).toHaveLength(first.body.items.length);
  const whole = await call('POST', '/tasks/forward/precheck');
  const failed = whole.body.items.filter((i: { status: string }) => i.status === 'failed');
  expect(failed.map(({ item }: { item: string }) => item)).toEqual(['conflicting-tables']);
});

test('a reverse task that starts by itself is prechecked before the forward starts', async () => {
  await using a = await openDatabase('a', { schema: 'create table item (id uuid primary key)' });
  await using b = await openDatabase('b');
  const { call, state } = await openPair(a, b);
  const wrong = { objects: { include: [{ schema: 'public', table: 'itme' }] }, autoStart: true };
  await call('POST', '/configure', { forward: all, reverse: wrong });
  await call('POST', '/tasks/forward/precheck', { ignoreAlerts: true });
  const refused = await call('POST', '/tasks/forward/start');
  expect(refused).toMatchObject({
    status: 409,
    body: { detail: expect.stringMatching(/reverse.*selection/s) },
  });
  expect(await state('forward')).toBe('PrecheckPassed');

  await call('POST', '/configure', { forward: all, reverse: { ...all, autoStart: true } });
  const both = await call('POST', '/precheck', { ignoreAlerts: true });
  expect(both.body.forward.items.filter((i: { status: string }) => i.status === 'failed')).toEqual([]);
  expect(both.body).toMatchObject({ forward: { ready: true }, reverse: { ready: true, tables: 1 } });
  expect((await call('POST', '/tasks/forward/start')).status).toBe(202);
  expect(await state('reverse')).toBe('PrecheckPassed');
});

test('a database that went away fails the precheck, and the task can be prechecked again', async () => {
  await using a = await openDatabase('a', { schema: 'create table item (id uuid primary key)' });
  await using b = await openDatabase('b');
  const { api, id, call, state } = await openPair(a, b);
  await call('PUT', '/tasks/forward', all);
  await api.secrets.put(`${id}-a`, 'another password');
  const answer = await call('POST', '/tasks/forward/precheck');
  expect(answer.body.items[0]).toMatchObject({ item: 'source-connection', status: 'failed' });
  expect(await state('forward')).toBe('PrecheckFailed');
  await api.secrets.put(`${id}-a`, a.password);
  expect((await call('POST', '/tasks/forward/precheck', { ignoreAlerts: true })).body.ready).toBe(true);
});

test('a precheck whose process died can be run again after a while', async () => {
  await using a = await openDatabase('a', { schema: 'create table item (id uuid primary key)' });
  await using b = await openDatabase('b');
  const { api, id, call } = await openPair(a, b);
  await call('PUT', '/tasks/forward', all);
  api.clock.at = new Date('2026-03-01T10:00:00Z');
  await api.repository.move(`${id}_f`, 'precheck', { cause: 'test', actor: 'test' });
  expect((await call('POST', '/tasks/forward/precheck')).status).toBe(409);
  api.clock.at = new Date('2026-03-01T10:10:00Z');
  expect((await call('POST', '/tasks/forward/precheck')).status).toBe(200);
});

test('5,000 tables by name: configure, precheck and start answer within seconds, and everything fits into items', async () => {
  await using a = await openDatabase('a');
  await using b = await openDatabase('b');
  for (const each of [a, b])
    for (let from = 1; from <= 5000; from += 1000)
      await each.query(`do $$ begin for n in ${from}..${from + 999} loop
        execute format('create table %I (id serial primary key, name text unique, at timestamptz)', 'a_table_with_a_rather_long_name_' || n);
      end loop; end $$`);
  const { api, call, state } = await openPair(a, b);
  /** Answer and seconds of one request. */
  const timed = async (method: string, path: string, body?: unknown) => {
    const start = performance.now();
    const answer = await call(method, path, body);
    return { ...answer, seconds: (performance.now() - start) / 1000 };
  };
  // Every table by name, and half of them excluded as well: as large as a configuration may become.
  const name = (n: number) => `a_table_with_a_rather_long_name_${n}`;
  const include = Array.from({ length: 5000 }, (_, n) => ({ schema: 'public', table: name(n + 1) }));
  const exclude = Array.from({ length: 5000 }, (_, n) => ({ schema: 'not_public', table: name(n + 1) }));
  const config = { objects: { include, exclude } };
  const configured = await timed('PUT', '/tasks/forward', config);
  expect(configured.status).toBe(200);
  const prechecked = await timed('POST', '/tasks/forward/precheck', { ignoreAlerts: true });
  const { body } = prechecked;
  expect(
    body.items.filter((i: { status: string; ignored: boolean }) => i.status !== 'passed' && !i.ignored),
  ).toEqual([]);
  expect(body).toMatchObject({ ready: true, tables: 5000 });
  const started = await timed('POST', '/tasks/forward/start');
  expect(started.status).toBe(202);
  expect(await state('forward')).toBe('Initializing');
  expect((await call('GET', '/tasks/forward')).body.config.objects.include).toHaveLength(5000);

  const seconds = [configured, prechecked, started].map((each) => each.seconds);
  process.stdout.write(`configure, precheck, start: ${seconds.map((s) => s.toFixed(1)).join(', ')} s\n`);
  // Seconds on a quiet machine; tests run beside each other.
  expect(configured.seconds).toBeLessThan(20);
  expect(prechecked.seconds).toBeLessThan(60);
  expect(started.seconds).toBeLessThan(20);
  expect(api.table.largestBytes).toBeLessThan(400_000);
  expect((await call('DELETE', '')).status).toBe(202);
}, 240_000);
