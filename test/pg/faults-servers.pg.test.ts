import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type PostgresServer, startPostgres } from '../../infra/local/postgres-server.ts';
import { openPlatform, openTwin, type TestPlatform, type Twin } from '../support/twin.ts';
import { until } from '../support/wait.ts';
import { expectEqual, startWrites, writesSchema } from '../support/writes.ts';

/** An unflushed commit stays unflushed for long: a crash of the server loses it. */
const settings = { fsync: 'off', full_page_writes: 'off', wal_writer_delay: '10s' };
let folder: string;
let servers: { a: PostgresServer; b: PostgresServer };
let on: TestPlatform;
let twin: Twin;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pgtwin-crash-'));
  await chmod(folder, 0o755);
  const binDir = process.env['PGTWIN_TEST_PG_BIN'] || undefined;
  const start = (side: string) =>
    startPostgres({ binDir, dataDir: join(folder, side), settings, persistent: true });
  const [a, b] = await Promise.all([start('a'), start('b')]);
  servers = { a, b };
  on = await openPlatform();
  const asynchronous = { synchronousCommit: false };
  twin = await openTwin(on, {
    schema: writesSchema,
    servers,
    forward: asynchronous,
    reverse: asynchronous,
  });
});
afterAll(async () => {
  await twin?.[Symbol.asyncDispose]();
  await on?.[Symbol.asyncDispose]();
  await Promise.all([servers?.a.stop('immediate'), servers?.b.stop('immediate')]);
  await rm(folder, { recursive: true, force: true });
});

test('either server crashes under writes', async () => {
  await using writes = startWrites(twin);
  for (const side of ['a', 'b', 'b', 'a'] as const) {
    await writes.more(80);
    await servers[side].restart('immediate');
    await writes.more(30);
  }
  await writes.stop();
  await expectEqual(twin, writes);
  for (const direction of ['forward', 'reverse'] as const) await twin.reach(direction, 'Running');
  // Whatever a connection said when it went, it has a name.
  expect(on.lines.filter((line) => line.includes('"code":"internal"'))).toEqual([]);
});

test('what the destination had committed but not flushed is lost in its crash, and sent again', async () => {
  const watermark = async () => {
    const [row] = await twin.b.superuserRows<{ position: string }>(
      'select position from pgtwin.apply_progress where task = $1',
      [`${twin.pair}_f`],
    );
    return row!.position;
  };
  let lost = false;
  for (let n = 0; n < 5 && !lost; n++) {
    await using writes = startWrites(twin, ['a']);
    await writes.more(100);
    await writes.stop();
    const id = `select count(*)::int as n from ledger`;
    const [written] = await twin.a.rows<{ n: number }>(id);
    await until('the rows', async () => (await twin.b.rows<{ n: number }>(id))[0]!.n === written!.n);
    const before = await watermark();
    // Nobody applies until we have looked.
    await on.platform.killCapture();
    await servers.b.restart('immediate');
    lost = (await watermark()) < before;
    on.platform.startCapture();
    await expectEqual(twin, writes);
  }
  expect(lost).toBe(true);
});
