import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PostgresServer, startPostgres } from '../../infra/local/postgres-server.ts';
import { parseSeen } from '../../shared/conflict/seen.ts';
import { crossed } from '../support/crossed.ts';
import { openPlatform, openTwin, type TestPlatform, type Twin } from '../support/twin.ts';
import { until } from '../support/wait.ts';

let on: TestPlatform;
beforeAll(async () => {
  on = await openPlatform();
});
afterAll(async () => {
  await on?.[Symbol.asyncDispose]();
});

const schema = `
  create table item (id int primary key, n int not null default 0, u text unique, v text unique);
  insert into item select g, 0, 'u' || g, 'v' || g from generate_series(1, 20) g;
  create table noted (id int primary key, n int not null default 0);
  insert into noted select g, 0 from generate_series(1, 20) g`;

const forward = {
  conflictPolicy: 'last-write-wins',
  tablePolicies: [{ schema: 'public', table: 'noted', onDeleted: 'by-time' }],
};

/** Servers that know no commit times. */
async function startWithoutTimes(): Promise<{ a: PostgresServer; b: PostgresServer; stop(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'pgtwin-kinds-'));
  const start = (side: 'a' | 'b') => {
    const binDir =
      process.env[`PGTWIN_TEST_PG_BIN_${side.toUpperCase()}`] || process.env['PGTWIN_TEST_PG_BIN'];
    return startPostgres({
      binDir: binDir || undefined,
      dataDir: join(folder, side),
      settings: { track_commit_timestamp: 'off', fsync: 'off' },
    });
  };
  const [a, b] = await Promise.all([start('a'), start('b')]);
  return {
    ...{ a, b },
    async stop() {
      await Promise.all([a.stop('immediate'), b.stop('immediate')]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const setups = [
  { name: 'with commit times and origins', plain: false },
  { name: 'without commit times, by an account that may only replicate and write', plain: true },
];

describe.each(setups)('$name', ({ plain }) => {
  let servers: Awaited<ReturnType<typeof startWithoutTimes>> | undefined;
  let twin: Twin;
  let logged = 0;
  beforeAll(async () => {
    servers = plain ? await startWithoutTimes() : undefined;
    twin = await openTwin(on, {
      ...{ schema, forward, account: plain ? 'plain' : 'superuser' },
      ...(servers ? { servers } : {}),
    });
  });
  afterAll(async () => {
    await twin?.[Symbol.asyncDispose]();
    await servers?.stop();
  });

  /** What was logged since the last call. */
  const newConflicts = async (): Promise<Record<string, string>[]> => {
    const all = (await twin.conflicts()).toSorted((x, y) => Number(x['id']) - Number(y['id']));
    const fresh = all.slice(logged);
    logged = all.length;
    return fresh;
  };

  test.each([
    ['insert_exists', `insert into item values (100, 1)`, `insert into item values (100, 2)`],
    ['insert_exists', `insert into item values (101, 1, 'x')`, `insert into item values (102, 2, 'x')`],
    ['update_origin_differs', 'update item set n = 1 where id = 1', 'update item set n = 2 where id = 1'],
    ['update_exists', `update item set u = 'y' where id = 2`, `update item set u = 'y' where id = 3`],
    ['update_missing', 'update item set n = 1 where id = 4', 'delete from item where id = 4'],
    ['update_deleted', 'update noted set n = 1 where id = 4', 'delete from noted where id = 4'],
    ['delete_origin_differs', 'delete from item where id = 5', 'update item set n = 2 where id = 5'],
    ['delete_missing', 'delete from item where id = 6', 'delete from item where id = 6'],
    [
      'multiple_unique_conflicts',
      `insert into item values (110, 1, 'p', 'q')`,
      `insert into item values (111, 2, 'p', 'r'), (112, 2, 's', 'q')`,
    ],
  ])('%s', async (kind, a, b) => {
    await crossed(twin, a, b);
    const conflicts = await newConflicts();
    // Without commit times any row may have been written under a savepoint of a transaction that was seen.
    const kinds = conflicts.map((each) => (plain ? (each['suspected_kind'] ?? each['kind']) : each['kind']));
    expect(new Set(kinds)).toEqual(new Set([kind]));
    expect(new Set(conflicts.map((each) => each['task']))).toEqual(new Set([`${twin.pair}_f`]));
    expect(await twin.differences()).toEqual([]);
  });

  test('by-time: the later of update and deletion wins', async () => {
    await crossed(twin, 'update noted set n = 1 where id = 5', 'delete from noted where id = 5');
    expect(await newConflicts()).toMatchObject([{ kind: 'update_deleted' }]);
    // The deletion came later; without commit times side a is preferred.
    const rows = plain ? [{ n: 1 }] : [];
    for (const side of [twin.a, twin.b])
      expect(await side.rows('select n from noted where id = 5')).toEqual(rows);
  });

  test('updates that take turns are no conflict', async () => {
    for (let n = 1; n <= 20; n++) {
      const [from, to] = n % 2 === 1 ? [twin.a, twin.b] : [twin.b, twin.a];
      await from.query(`update item set n = ${n} where id = 7`);
      await arrived(to, 7, n);
    }
    await twin.settle();
    expect(await newConflicts()).toEqual([]);
  });

  test('a row written under a savepoint: unsure as long as the floor has not passed it, then no conflict', async () => {
    const savepoint = (n: number, id: number) =>
      twin.b.query(`begin; savepoint s; update item set n = ${n} where id = ${id}; release s; commit`);
    // A transaction that is open holds the floor.
    const holder = await twin.b.connect();
    await holder.query('begin; select pg_current_xact_id()');
    await savepoint(1, 8);
    await arrived(twin.a, 8, 1);
    await twin.a.query('update item set n = 2 where id = 8');
    await until('the update has arrived', async () => (await twin.conflicts()).length > logged);
    await holder.query('commit');
    await twin.settle();
    expect(await newConflicts()).toMatchObject([{ kind: 'unsure', suspected_kind: 'update_origin_differs' }]);
    expect(await twin.differences()).toEqual([]);

    await savepoint(1, 9);
    await arrived(twin.a, 9, 1);
    const [{ next }] = (await twin.b.rows<{ next: string }>(
      'select pg_snapshot_xmax(pg_current_snapshot())::text as next',
    )) as [{ next: string }];
    await until(
      'the floor has passed it',
      async (saw) => {
        const [row] = await twin.a.superuserRows<{ seen: string }>(
          `select seen from pgtwin.apply_progress where task = '${twin.pair}_r'`,
        );
        saw(`${parseSeen(row!.seen).floor} of ${next}`);
        // Nothing else runs: the floor is the next xid when nothing is open.
        return parseSeen(row!.seen).floor >= BigInt(next) - 1n;
      },
      { timeoutMs: 60_000 },
    );
    await twin.a.query('update item set n = 2 where id = 9');
    await twin.settle();
    expect(await newConflicts()).toEqual([]);
    expect(await twin.differences()).toEqual([]);
  });

  test('the status says what falls back to what', async () => {
    const { status } = await on.call<{ status: { notes: string[] } }>(
      'GET',
      `/v1/pairs/${twin.pair}/tasks/forward`,
    );
    const notes = status.notes.join('\n');
    if (plain) {
      expect(notes).toMatch(/may not use replication origins.*slower/);
      expect(notes).toMatch(/track_commit_timestamp is off.*side a wins/);
    } else expect(notes).toBe('');
  });
});

const arrived = (at: Twin['a'], id: number, n: number): Promise<unknown> =>
  until(`update ${n} of row ${id} has arrived`, async () => {
    const rows = await at.rows(`select from item where id = ${id} and n = ${n}`);
    return rows.length > 0;
  });
