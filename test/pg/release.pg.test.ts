import { setTimeout } from 'node:timers/promises';
import pg from 'pg';
import { expect, test } from 'vitest';
import { releaseTask } from '../../functions/capture/release.ts';
import { openLog } from '../../shared/log/log.ts';
import type { BlobStore, Delivery } from '../../shared/task/ports.ts';
import { type CopyTwin, openCopyTwin } from '../support/copy-twin.ts';

const all = { objects: { include: [{ schema: '*' }] } };
const schema = 'create table item (id int primary key); insert into item values (1)';

function release(
  twin: CopyTwin,
  direction: 'forward' | 'reverse',
  destination = () => twin.target('b'),
  patienceMs = 30_000,
) {
  const task = `${twin.pair}_${direction[0]}`;
  const removed: string[] = [];
  const blobs = { removeAll: async (prefix: string) => void removed.push(prefix) } as unknown as BlobStore;
  const delivery = { remove: async (id: string) => void removed.push(id) } as unknown as Delivery;
  const [source, target] =
    direction === 'forward' ? [() => twin.target('a'), destination] : [destination, () => twin.target('a')];
  const log = openLog({ write: () => {} });
  return releaseTask({
    task,
    source,
    destination: target,
    table: twin.table,
    blobs,
    blobPrefix: `${task}/`,
    delivery,
    log,
    patienceMs,
  });
}

test('nothing is left in either database, nor of the preparation in the table', async () => {
  await using twin = await openCopyTwin({ a: { schema, mustEndClean: true }, b: { mustEndClean: true } });
  await twin.configure('reverse', all, { autoStart: true });
  await twin.configure('forward', all, { start: true });
  await twin.initialize('forward');
  expect(await twin.a.leftovers()).toHaveLength(4);
  expect(await twin.b.leftovers()).toHaveLength(4);

  expect(await release(twin, 'forward')).toEqual([]);
  // The other task goes on.
  expect(await twin.a.rows('select task from pgtwin.task')).toEqual([{ task: `${twin.pair}_r` }]);
  expect(await twin.b.leftovers()).toHaveLength(4);
  expect(await release(twin, 'reverse')).toEqual([]);
  expect(await release(twin, 'reverse')).toEqual([]);
  const origins = `select from pg_replication_origin where roname like 'pgtwin_${twin.pair}_%'`;
  expect(await twin.a.rows(origins)).toEqual([]);
  expect(await twin.b.rows(origins)).toEqual([]);
  expect(twin.table.keys().filter((key) => /prepared|table#|chunk#/.test(key))).toEqual([]);
});

test('what an unreachable database still has is listed with the SQL that removes it', async () => {
  await using twin = await openCopyTwin({ a: { schema, mustEndClean: true }, b: { mustEndClean: true } });
  await twin.configure('forward', all, { start: true });
  await twin.initialize('forward');
  const wrong = async () => ({ ...(await twin.target('b')), password: 'changed' });
  const left = await release(twin, 'forward', wrong);
  expect(left.map(({ side, what }) => `${side}: ${what}`)).toEqual([
    'b: triggers that note deletions',
    'b: replication origins',
    "b: the task's rows in schema pgtwin",
  ]);
  expect(left[0]!.reason).toContain('refused the login');
  for (const { sql } of left) await twin.b.query(sql!.replace(/--.*/, ''));
  expect(await twin.b.leftovers()).toEqual([]);
});

/** A session of apply in the middle of a transaction that writes. */
async function busyApply(twin: CopyTwin, application: string): Promise<pg.Client> {
  const { user, password } = await twin.target('b');
  const client = new pg.Client({
    ...{ host: twin.b.server.host, port: twin.b.server.port, database: twin.b.name, user, password },
    application_name: application,
  });
  client.on('error', () => {});
  await client.connect();
  await client.query('begin');
  await client.query('insert into item values (2)');
  await client.query('select pg_replication_origin_session_setup($1)', [`pgtwin_${twin.pair}_f_0`]);
  return client;
}

test('apply at work is waited for; what does not end is ended, and what is not ours is reported', async () => {
  for (const [application, endsItself] of [
    ['pgtwin apply', true],
    ['pgtwin apply', false],
    ["somebody else's", false],
  ] as const) {
    await using twin = await openCopyTwin({ a: { schema }, b: { schema } });
    await twin.configure('forward', { ...all, types: { schema: false, full: false } }, { start: true });
    await twin.initialize('forward');
    const ours = application === 'pgtwin apply';
    const client = await busyApply(twin, ours ? `${application} ${twin.pair}_f` : application);
    const began = performance.now();
    const end = async () => {
      await client.query('select pg_replication_origin_session_reset()');
      await client.query('commit');
    };
    const ending = endsItself ? setTimeout(1_000).then(end) : Promise.resolve();
    const left = await release(twin, 'forward', undefined, endsItself ? 20_000 : 300);
    await ending;
    const ms = performance.now() - began;
    expect(left.map(({ what }) => what)).toEqual(ours ? [] : ['replication origins']);
    if (endsItself) expect(ms).toBeGreaterThan(900);
    // What apply had begun is whole: all of it or nothing.
    if (!ours) await end();
    expect(await twin.b.rows('select id from item where id = 2')).toHaveLength(endsItself || !ours ? 1 : 0);
    if (left[0]) await twin.b.query(left[0].sql!);
    await client.end().catch(() => {});
  }
});
