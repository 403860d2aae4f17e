import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { openProxy } from '../support/tcp-proxy.ts';
import { openPlatform, openTwin, type TestPlatform } from '../support/twin.ts';
import { until } from '../support/wait.ts';
import { startWrites, writesSchema } from '../support/writes.ts';

let on: TestPlatform;
beforeAll(async () => {
  on = await openPlatform();
});
afterAll(async () => {
  await on?.[Symbol.asyncDispose]();
});
const directions = ['forward', 'reverse'] as const;

test('paused under writes, for a while and with a backlog, and resumed: nothing is lost', async () => {
  await using twin = await openTwin(on, { schema: writesSchema });
  await using writes = startWrites(twin);
  for (let n = 0; n < 2; n++) {
    await writes.more(50);
    const at = performance.now();
    for (const direction of directions) await twin.act(direction, 'pause');
    for (const direction of directions) await twin.reach(direction, 'Paused');
    // A capture that is busy does not wait until nothing comes any more.
    expect(performance.now() - at).toBeLessThan(10_000);
    const before = await twin.b.rows(`select count(*)::int as n from ledger where side = 'a'`);
    await writes.more(200);
    expect(await twin.b.rows(`select count(*)::int as n from ledger where side = 'a'`)).toEqual(before);
    for (const direction of directions) await twin.act(direction, 'resume');
    for (const direction of directions) await twin.reach(direction, 'Running');
  }
  // A backlog: one large transaction and many small ones behind it.
  await twin.a.query(
    `insert into ledger select g, 'x', repeat('z', 200) from generate_series(5000001, 5100000) g`,
  );
  await twin.act('forward', 'pause');
  await writes.more(100);
  await twin.reach('forward', 'Paused');
  await twin.act('forward', 'resume');
  await writes.stop();
  await twin.settle();
  await twin.a.query(`delete from ledger where side = 'x'`);
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
  expect(await twin.conflicts()).toEqual([]);
});

test('an error that apply reports is over when its cause is mended, by itself', async () => {
  await using twin = await openTwin(on, { schema: writesSchema, oneWay: true });
  await twin.b.query(`alter table ledger add constraint no_x check (side <> 'x')`);
  await twin.a.query(`insert into ledger values (1, 'x', 'refused')`);
  await twin.reach('forward', 'Retrying');
  // Heartbeats go on meanwhile; they are no sign that things work again.
  expect((await twin.task('forward')).error?.code).toBe('change-refused');
  await twin.b.query(`alter table ledger drop constraint no_x`);
  await twin.reach('forward', 'Running');
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
});

test('released under load: nothing is left, and the writers notice nothing', async () => {
  await using twin = await openTwin(on, { schema: writesSchema });
  await using writes = startWrites(twin);
  await writes.more(100);
  await twin.release();
  await writes.more(20);
});

test('released while paused', async () => {
  await using twin = await openTwin(on, { schema: writesSchema });
  await twin.act('forward', 'pause');
  await twin.reach('forward', 'Paused');
  await twin.release();
});

test('released while a database can not be reached: what is left there is named with its SQL', async () => {
  const { a } = inject('postgres');
  await using proxy = await openProxy({ host: a.host, port: a.port });
  const twin = await openTwin(on, { schema: writesSchema, through: { a: proxy.through } });
  try {
    proxy.refuse(true);
    proxy.cut();
    await on.call('DELETE', `/v1/pairs/${twin.pair}`);
    for (const direction of directions) await twin.reach(direction, 'Released');
    const { error } = await twin.task('forward');
    expect(error?.code).toBe('released-with-leftovers');
    expect(error?.detail).toContain('drop publication');
    expect(await twin.b.leftovers()).toEqual([]);
    expect((await twin.a.leftovers()).length).toBeGreaterThan(2);
    // A person runs what is printed, of both tasks.
    const statements = new Set<string>();
    for (const direction of directions)
      for (const line of ((await twin.task(direction)).error?.detail ?? '').split('\n')) {
        const sql = /; by hand: (.*)$/.exec(line)?.[1];
        if (sql) statements.add(sql.replace(/ -- .*$/, ''));
      }
    const client = new pg.Client(twin.a.superuserUrl);
    await client.connect();
    for (const sql of statements)
      await client.query(sql).catch((e: Error) => expect(e.message).toMatch(/pgtwin/));
    await client.end();
    expect(await twin.a.leftovers()).toEqual([]);
    await on.call('DELETE', `/v1/pairs/${twin.pair}`);
  } finally {
    await twin.a[Symbol.asyncDispose]();
    await twin.b[Symbol.asyncDispose]();
  }
});

test('restarted while a long transaction is open: a new generation, and all that was written arrives', async () => {
  await using twin = await openTwin(on, { schema: writesSchema });
  await using writes = startWrites(twin);
  await writes.more(50);
  for (const direction of directions) await twin.act(direction, 'pause');
  for (const direction of directions) await twin.reach(direction, 'Paused');
  await writes.more(50);
  const open = await twin.a.connect();
  await open.query(`begin; insert into ledger values (-1, 'x', 'long')`);
  for (const direction of directions) await twin.act(direction, 'restart');
  await writes.more(50);
  expect((await twin.task('forward')).state).toBe('Initializing');
  await open.query(`insert into ledger values (-2, 'x', 'long'); commit`);
  for (const direction of directions) await twin.reach(direction, 'Running');
  await writes.more(50);
  await writes.stop();
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
  // Rows that were there were kept: here they are the same, but only a verification knows.
  await until('the status says so', async (saw) => {
    const path = `/v1/pairs/${twin.pair}/tasks/forward`;
    const { status } = await on.call<{ status: { notes: string[] } }>('GET', path);
    saw(status.notes);
    return status.notes.some((note) => /restarted.*verification/.test(note));
  });
});
