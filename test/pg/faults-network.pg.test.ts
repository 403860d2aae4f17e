import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { slotName } from '../../shared/postgres/names.ts';
import { openProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { openPlatform, openTwin, type TestPlatform, type Twin } from '../support/twin.ts';
import { until } from '../support/wait.ts';
import { expectEqual, startWrites, writesSchema } from '../support/writes.ts';

let on: TestPlatform;
let twin: Twin;
let proxies: { a: TcpProxy; b: TcpProxy };
beforeAll(async () => {
  const { a, b } = inject('postgres');
  proxies = {
    a: await openProxy({ host: a.host, port: a.port }),
    b: await openProxy({ host: b.host, port: b.port }),
  };
  on = await openPlatform();
  twin = await openTwin(on, {
    schema: writesSchema,
    account: 'plain',
    through: { a: proxies.a.through, b: proxies.b.through },
  });
});
afterAll(async () => {
  await twin?.[Symbol.asyncDispose]();
  await on?.[Symbol.asyncDispose]();
  await proxies?.a.close();
  await proxies?.b.close();
});

const bothRun = async () => {
  for (const direction of ['forward', 'reverse'] as const) await twin.reach(direction, 'Running');
};

test('connections are cut at random bytes, to and from either side', async () => {
  await using writes = startWrites(twin);
  for (let n = 0; n < 12; n++) {
    const proxy = n % 2 ? proxies.a : proxies.b;
    const before = proxy.connections;
    proxy.cutAfterBytes(1 + Math.floor(Math.random() * 20_000), n % 4 < 2 ? 'to-client' : 'to-server');
    await writes.more(10);
    await until('connections again', async () => proxy.connections >= Math.min(2, before));
  }
  await writes.stop();
  await expectEqual(twin, writes);
  await bothRun();
});

test('connections are cut where the commit of a transaction is the next record', async () => {
  const open = await twin.a.connect();
  await open.query(`begin; insert into ledger select g, 'x' from generate_series(2000001, 2000100) g`);
  const [{ lsn } = { lsn: '' }] = await twin.a.superuserRows<{ lsn: string }>(
    'select pg_current_wal_insert_lsn()::text as lsn',
  );
  // The slot is told of everything that is there: what comes next is that commit.
  await until('everything else to be confirmed', async (saw) => {
    const rows = await twin.a.superuserRows<{ at: string; passed: boolean }>(
      'select confirmed_flush_lsn::text as at, confirmed_flush_lsn >= $2 as passed from pg_replication_slots where slot_name = $1',
      [slotName(`${twin.pair}_f`), lsn],
    );
    saw(rows);
    return rows[0]?.passed;
  });
  proxies.a.cut();
  await open.query('commit');
  proxies.a.cut();
  await twin.settle();
  expect(await twin.b.rows(`select count(*)::int as n from ledger where side = 'x'`)).toEqual([{ n: 100 }]);
  await twin.a.query(`delete from ledger where side = 'x'`);
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
});

test('the replication connection is cut at every few bytes of a small transaction', async () => {
  for (let bytes = 1; bytes < 400; bytes += 33) {
    proxies.a.cutAfterBytes(bytes);
    await twin.a.query(`insert into ledger values (${3_000_000 + bytes}, 'x', 'small')`);
    await until(
      'the row',
      async () => (await twin.b.rows(`select from ledger where id = ${3_000_000 + bytes}`)).length > 0,
    );
  }
  await twin.a.query(`delete from ledger where side = 'x'`);
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
});

test('the connection of apply is cut in mid-transaction', async () => {
  for (const bytes of [30_000, 300_000]) {
    proxies.b.cutAfterBytes(bytes, 'to-server');
    await twin.a.query(
      `insert into ledger select g, 'x', repeat('y', 100) from generate_series(${4_000_000 + bytes}, ${4_000_000 + bytes} + 9999) g`,
    );
    await twin.settle();
    expect(await twin.differences()).toEqual([]);
  }
  await twin.a.query(`delete from ledger where side = 'x'`);
  await twin.settle();
  await bothRun();
});

test('a network that goes silent is noticed', async () => {
  // Read by each new walsender of the account.
  await twin.a.superuserRows(`alter role "${twin.a.user}" set wal_sender_timeout = '3s'`);
  await using writes = startWrites(twin);
  proxies.a.cut();
  await writes.more(100);
  await twin.settle();
  await bothRun();
  proxies.a.pause();
  await until(
    'the silence to be noticed',
    async (saw) => {
      const { state, error } = await twin.task('forward');
      saw([state, error]);
      return state === 'Retrying' && error?.code === 'database-unreachable';
    },
    { timeoutMs: 60_000 },
  );
  proxies.a.cut();
  proxies.a.resume();
  await writes.more(50);
  await writes.stop();
  await expectEqual(twin, writes);
  await bothRun();
});

test('a capture that was stopped for a while finds that another one has its tasks, and does no harm', async () => {
  const entry = fileURLToPath(new URL('../../functions/capture/main.ts', import.meta.url));
  const other = spawn(process.execPath, [entry], { env: on.platform.env, stdio: 'ignore' });
  const pids = [on.platform.capturePid!, other.pid!];
  const owner = async () => {
    const rows = await twin.a.superuserRows<{ pid: number }>(
      'select active_pid as pid from pg_replication_slots where slot_name = $1',
      [slotName(`${twin.pair}_f`)],
    );
    return rows[0]?.pid ?? undefined;
  };
  try {
    await using writes = startWrites(twin);
    // The first one has all tasks at the start; then whoever was not stopped.
    for (const stopped of [pids[0]!, pids[1]!, pids[0]!]) {
      await writes.more(50);
      const before = await until('a walsender', owner);
      process.kill(stopped, 'SIGSTOP');
      await until('another walsender', async () => {
        const now = await owner();
        return now !== undefined && now !== before;
      });
      await writes.more(50);
      process.kill(stopped, 'SIGCONT');
    }
    await writes.more(50);
    await writes.stop();
    await expectEqual(twin, writes);
    await bothRun();
  } finally {
    for (const pid of pids) process.kill(pid, 'SIGCONT');
    other.kill('SIGKILL');
  }
  await bothRun();
});
