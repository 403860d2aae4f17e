import { expect, test } from 'vitest';
import { savePrepared } from '../../shared/task/prepared.ts';
import { taskConfig } from '../../shared/task/schema.ts';
import { type Verification, verification } from '../../shared/verify/model.ts';
import { VerificationStore } from '../../shared/verify/store.ts';
import { openTestApi, storePair, type TestApi } from '../../test/support/api.ts';

const why = { cause: 'test', actor: 'test' };
const config = taskConfig.parse({ objects: { include: [{ schema: 'public' }] } });
const list = ['customer', 'item'].map((name) => ({ schema: 'public', name, key: ['id'] }));

/** A pair whose tasks run, as far as the table says. */
async function running(api: TestApi, { oneWay = false } = {}): Promise<string> {
  const pair = await storePair(api);
  for (const direction of oneWay ? ['f'] : ['f', 'r']) {
    const task = `${pair}_${direction}`;
    await api.repository.configure(task, config, false, why);
    for (const input of ['precheck', 'precheck-passed', 'start', 'initialized'] as const)
      await api.repository.move(task, input, why);
    const facts = { generation: 1, slot: 's', systemId: '1', timeline: 1, consistentPoint: '0/1' };
    await savePrepared(api.table, task, { ...facts, at: '2026-01-01T00:00:00.000Z' }, list);
  }
  return `pairs/${pair}`;
}

/** Ends a run with what the monitor would have found. */
async function end(api: TestApi, pair: string, run: string): Promise<void> {
  const store = new VerificationStore(api.table);
  const stored = await store.get(pair, run);
  const counts = { ...stored.run.counts, different: 60 };
  stored.run = { ...stored.run, status: 'finished', tablesDone: 2, counts } satisfies Verification;
  await store.save(stored);
  await store.ended(pair);
  const names = { a: { schema: 'public', name: 'item' }, b: { schema: 'public', name: 'item' } };
  const report = { number: 1, ...names, way: 'both', counts, seconds: 1, keysKept: 60, notes: [] } as const;
  await store.saveReport(stored.run, { ...report, notes: [] });
  const key = (n: number) =>
    ({ key: [String(n)], kind: 'different', columns: ['price'], state: 'open' }) as const;
  for (const page of [0, 1]) {
    const keys = Array.from({ length: page === 0 ? 50 : 10 }, (_, n) => key(page * 50 + n));
    await store.savePage(stored.run, {
      table: 1,
      page,
      keys: keys.map((each) => ({ ...each, key: [...each.key], columns: [...each.columns] })),
    });
  }
}

test('one verification of a pair at a time, by those who may, while the tasks run', async () => {
  const api = openTestApi();
  const pair = await running(api);
  const start = (body?: object, as: 'viewer' | 'operator' = 'operator') =>
    api.call('POST', `${pair}/verifications`, { as, ...(body ? { body } : {}) });
  expect((await start({}, 'viewer')).status).toBe(403);
  expect(await start({ tables: [{ schema: 'public', table: 'none' }] })).toMatchObject({
    status: 422,
    body: { field: 'tables' },
  });
  expect((await start({ mode: 'some' })).status).toBe(422);
  const first = await start();
  expect(first).toMatchObject({ status: 202, body: { status: 'verifying', tables: 2, equal: null } });
  expect(await start()).toMatchObject({ status: 409, body: { detail: expect.stringMatching(/under work/) } });
  const path = `${pair}/verifications/${first.body.id}`;
  expect(await api.call('POST', `${path}/repair`, { body: { winner: 'a' } })).toMatchObject({ status: 409 });
  const old = { headers: { 'if-match': '"77"' } };
  expect((await api.call('POST', `${path}/cancel`, old)).status).toBe(412);
  expect((await api.call('POST', `${path}/cancel`)).body.status).toBe('cancelled');
  await api.repository.move('pair0001_r', 'pause', why);
  expect(await start()).toMatchObject({
    status: 409,
    body: { detail: expect.stringMatching(/reverse.*Pausing/) },
  });
  const { events } = (await api.call('GET', `${pair}/tasks/reverse/events`)).body;
  const causes = events
    .filter((e: { input: string }) => e.input === 'verification')
    .map((e: { cause: string }) => e.cause);
  expect(causes).toEqual([
    expect.stringMatching(/was cancelled/),
    expect.stringMatching(/was asked for, 2 tables/),
  ]);
});

test('differing keys come in pages, and are for operators', async () => {
  const api = openTestApi();
  const pair = await running(api);
  const started = await api.call('POST', `${pair}/verifications`, { body: {} });
  const { id } = started.body;
  await end(api, 'pair0001', id);
  const path = `${pair}/verifications/${id}`;
  expect((await api.call('GET', path)).body).toMatchObject({ status: 'finished', equal: false });
  const first = await api.call('GET', `${path}/differences?limit=50`, { as: 'operator' });
  expect(first.body.differences.length).toBe(50);
  const cursor = encodeURIComponent(first.body.next);
  const second = await api.call('GET', `${path}/differences?limit=50&cursor=${cursor}`, { as: 'operator' });
  expect([second.body.differences.length, second.body.next]).toEqual([10, undefined]);
  expect(second.body.differences[9]).toMatchObject({ key: ['59'], columns: ['price'], a: { name: 'item' } });
  const seen = await api.call('GET', `${path}/differences?table=1`, { as: 'viewer' });
  expect(seen.body.differences[0].key).toBeUndefined();
  expect((await api.call('GET', `${path}/tables`)).body.tables).toMatchObject([{ number: 1, keysKept: 60 }]);
  expect((await api.call('GET', `${pair}/verifications/20260101t000000zabcdef`)).status).toBe(404);
});

test('a repair is for admins; on a pair of one way only the source can win; old runs are forgotten', async () => {
  const api = openTestApi();
  api.clock.at = new Date('2026-03-01T10:00:00Z');
  const pair = await running(api, { oneWay: true });
  for (let n = 0; n < 12; n++) {
    api.clock.at = new Date(Date.parse('2026-03-01T10:00:00Z') + n * 60_000);
    const { id } = (await api.call('POST', `${pair}/verifications`)).body;
    await end(api, 'pair0001', id);
  }
  const { verifications } = (await api.call('GET', `${pair}/verifications`)).body;
  expect(verifications.length).toBe(10);
  expect(verifications[0].id).toMatch(/^20260301t101100000z/);
  const path = `${pair}/verifications/${verifications[0].id}/repair`;
  expect((await api.call('POST', path, { as: 'operator', body: { winner: 'a' } })).status).toBe(403);
  expect(await api.call('POST', path, { body: { winner: 'b' } })).toMatchObject({
    status: 422,
    body: { field: 'winner' },
  });
  const asked = await api.call('POST', path, { body: { winner: 'a' } });
  expect(asked).toMatchObject({
    status: 202,
    body: { status: 'repairing', repair: { order: { winner: 'a' } } },
  });
  expect((await api.call('POST', path, { body: { winner: 'a' } })).status).toBe(409);
});

test('what is stored and not readable is said to be so', async () => {
  const api = openTestApi();
  const pair = await running(api);
  const { id } = (await api.call('POST', `${pair}/verifications`)).body;
  const item = await api.table.get('pair0001_f', `verification#${id}`);
  expect(verification.safeParse(item?.body).success).toBe(true);
  await api.table.put({ ...item!, body: { v: 1, id } }, 'any');
  expect(await api.call('GET', `${pair}/verifications/${id}`)).toMatchObject({ status: 500 });
});
