import { setTimeout as pause } from 'node:timers/promises';
import type { SQSEvent } from 'aws-lambda';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TestDatabase } from '../support/database.ts';
import { openPlatform, openTwin, type TestPlatform, type Twin } from '../support/twin.ts';
import { until } from '../support/wait.ts';

let on: TestPlatform;
beforeAll(async () => {
  on = await openPlatform();
});
afterAll(async () => {
  await on?.[Symbol.asyncDispose]();
});

const patch = (pair: string, limits: object) =>
  on.call('PATCH', `/v1/pairs/${pair}/tasks/forward/limits`, limits);

/** Within ten percent, the promise. */
function expectRate(measured: number, limit: number, what: string): void {
  process.stdout.write(`${what}: ${measured.toFixed(2)} per second, limit ${limit}\n`);
  expect(measured, what).toBeGreaterThan(limit * 0.9);
  expect(measured, what).toBeLessThan(limit * 1.1);
}

const ROW_CHARACTERS = 100;
const filler = (from: number, to: number) =>
  `insert into item select g, repeat('x', ${ROW_CHARACTERS}) from generate_series(${from}, ${to}) g`;
const table = 'create table item (id int primary key, t text not null)';

type Chunk = { rows: number; at: number };
/** When each chunk of the copy began, and how many rows it had. */
const chunksOf = (twin: Twin) =>
  twin.b.rows<Chunk>(
    `select copied_rows::int as rows, extract(epoch from at)::float8 as at from pgtwin.copy_chunk
     where chunk >= 0 and relation <> '' order by at`,
  );

/** How fast the chunks of a time began, but for the first and the last: there not all lanes have work. */
function rateOfChunks(chunks: readonly Chunk[], unit: 'rows' | 'chunks'): number {
  const measured = chunks.slice(4, -4);
  const seconds = measured.at(-1)!.at - measured[0]!.at;
  expect(seconds).toBeGreaterThan(4);
  const counted = measured.slice(0, -1);
  return (unit === 'rows' ? counted.reduce((sum, { rows }) => sum + rows, 0) : counted.length) / seconds;
}

type Listed = { pairs: { id: string; deleting: boolean; tasks: { forward: { state: string } } }[] };
const copyingPair = () =>
  until('the copy', async () => {
    const { pairs } = await on.call<Listed>('GET', '/v1/pairs');
    return pairs.find(({ deleting, tasks }) => !deleting && tasks.forward.state === 'Initializing')?.id;
  });

test('full: rows per second over all lanes', async () => {
  await using twin = await openTwin(on, {
    schema: `${table}; ${filler(1_000_001, 1_048_000)}; analyze item`,
    oneWay: true,
    forward: { copyParallelism: 2, chunkRows: 1000, limits: { full: { rowsPerSecond: 4000 } } },
  });
  expectRate(rateOfChunks(await chunksOf(twin), 'rows'), 4000, 'rows of the copy');
  expect(await twin.differences()).toEqual([]);
});

/** Of COPY's binary format: the number of fields, and each with its length. */
const BINARY_ROW_BYTES = 2 + (4 + 4) + (4 + ROW_CHARACTERS);

test('full: bytes per second, then another number of them while it runs', async () => {
  const bytes = (rows: number) => ({ full: { bytesPerSecond: rows * BINARY_ROW_BYTES } });
  let [before, after] = [0, 0];
  await using twin = await openTwin(on, {
    schema: `${table}; ${filler(1_000_001, 1_080_000)}; analyze item`,
    oneWay: true,
    forward: { copyParallelism: 2, chunkRows: 1000, limits: bytes(3000) },
    async whileStarting(_a, b) {
      const pair = await copyingPair();
      const begun = /* sql */ `select from pgtwin.copy_chunk where chunk >= 0 and relation <> ''`;
      // The table is not there at first.
      const count = () =>
        b.superuserRows(begun).then(
          ({ length }) => length,
          () => 0,
        );
      // So many that one more or less at the ends of the time is no matter.
      await until('34 chunks', async () => (await count()) >= 34, { timeoutMs: 60_000 });
      before = Date.now() / 1000;
      await patch(pair, bytes(6000));
      after = Date.now() / 1000;
    },
  });
  const chunks = await chunksOf(twin);
  const slow = chunks.filter(({ at }) => at < before);
  // Workers look at the limits every second.
  const fast = chunks.filter(({ at }) => at > after + 1.5);
  expectRate(rateOfChunks(slow, 'rows') * BINARY_ROW_BYTES, 3000 * BINARY_ROW_BYTES, 'bytes of the copy');
  expectRate(rateOfChunks(fast, 'rows') * BINARY_ROW_BYTES, 6000 * BINARY_ROW_BYTES, 'bytes, faster');
});

test('full: limits that change while one chunk is copied are kept from then on', async () => {
  const rows = 90_000;
  let other: TestDatabase | undefined;
  const opening = openTwin(on, {
    schema: `${table}; ${filler(1, rows)}; analyze item`,
    oneWay: true,
    forward: { copyParallelism: 1, chunkRows: 1_000_000, limits: { full: { rowsPerSecond: 3000 } } },
    async whileStarting(_a, b) {
      other = b;
    },
  });
  const pair = await copyingPair();
  /** What the server has taken so far, in its own words. */
  const taken = async () => {
    const at = performance.now();
    const found = await other?.superuserRows<{ tuples: number; bytes: number }>(
      `select tuples_processed::int as tuples, bytes_processed::int as bytes from pg_stat_progress_copy
       where datname = current_database() and command = 'COPY FROM'`,
    );
    return found?.[0] && { ...found[0], at };
  };
  const measure = async (unit: 'tuples' | 'bytes', limit: number, what: string) => {
    // Workers look at the limits every second.
    await pause(2_000);
    const before = await until('the copy to be under way', taken);
    await pause(5_000);
    const after = (await taken())!;
    expectRate(((after[unit] - before[unit]) / (after.at - before.at)) * 1000, limit, what);
  };
  await measure('tuples', 3000, 'rows of one chunk');
  await patch(pair, { full: { rowsPerSecond: null, bytesPerSecond: 250_000 } });
  await measure('bytes', 250_000, 'bytes of one chunk');
  await patch(pair, { full: { bytesPerSecond: null } });
  await using twin = await opening;
  expect(await twin.b.rows('select count(*)::int as n from item')).toEqual([{ n: rows }]);
});

test('full: queries per second, and changed while it runs', async () => {
  const opening = openTwin(on, {
    schema: `${table}; ${filler(1_000_001, 1_020_000)}; analyze item`,
    oneWay: true,
    forward: {
      ...{ copyParallelism: 1, chunkRows: 1000 },
      // The rows alone would take more than a minute.
      limits: { full: { queriesPerSecond: 2, rowsPerSecond: 100 } },
    },
  });
  await patch(await copyingPair(), { full: { rowsPerSecond: null } });
  await using twin = await opening;
  expectRate(rateOfChunks(await chunksOf(twin), 'chunks'), 2, 'chunks of the copy');
});

test('incremental: rows, then bytes per second, changed while it runs; the slot keeps the rest', async () => {
  await using twin = await openTwin(on, { schema: table, both: true, oneWay: true });
  const { pair } = twin;
  // On the server, so that it writes faster than any limit here, whatever else the machine does.
  await twin.a.query(`create procedure fill(start int, transactions int) language plpgsql as $$
    begin
      for n in 0..transactions - 1 loop
        insert into item select g, repeat('x', ${ROW_CHARACTERS})
          from generate_series(start + n * 100 + 1, start + n * 100 + 100) g;
        commit;
      end loop;
    end $$`);
  let written = 1_000_000;
  const write = async (transactions: number) => {
    await twin.a.query(`call fill(${written}, ${transactions})`);
    written += transactions * 100;
  };
  const arrived = async () => (await twin.b.rows<{ n: number }>('select count(*)::int as n from item'))[0]!.n;
  const { apply } = on.platform;
  const { invoke } = apply;
  /** Rows per second from the first message to the last that carries them, as they come out of the queue. */
  const rateOf = async (transactions: number): Promise<number> => {
    const seen: { at: number; rows: number }[] = [];
    apply.invoke = ((event: SQSEvent) => {
      for (const { body } of event.Records) {
        const { changes } = JSON.parse(body.slice(0, body.indexOf('\n'))) as { changes: number };
        seen.push({ at: performance.now(), rows: changes });
      }
      return invoke(event);
    }) as typeof invoke;
    try {
      const before = await arrived();
      await write(transactions);
      const wanted = before + transactions * 100;
      const all = async (saw: (value: unknown) => void) => {
        const now = await arrived();
        saw(now);
        return now >= wanted;
      };
      await until('all rows', all, { timeoutMs: 60_000 });
    } finally {
      apply.invoke = invoke;
    }
    // Heartbeats are messages too, of a single change.
    const large = seen.filter(({ rows }) => rows >= 50);
    const rows = large.slice(0, -1).reduce((sum, each) => sum + each.rows, 0);
    return (rows / (large.at(-1)!.at - large[0]!.at)) * 1000;
  };

  await patch(pair, { incremental: { rowsPerSecond: 2000 } });
  await until('the capture knows the limit', async () => {
    const before = await arrived();
    await write(10);
    const start = performance.now();
    await until('a thousand rows', async () => (await arrived()) >= before + 1000);
    return performance.now() - start > 300;
  });
  expectRate(await rateOf(160), 2000, 'rows of the stream');

  await twin.settle();
  // One insert: tag, relation, 'N', columns, then per column a tag, a length and the text (manual, 55.9).
  const rowBytes = 1 + 4 + 1 + 2 + (1 + 4 + 7) + (1 + 4 + ROW_CHARACTERS);
  const transactionBytes = 100 * rowBytes + 21 + 26;
  await patch(pair, { incremental: { rowsPerSecond: null, bytesPerSecond: 20 * transactionBytes } });
  const bytesRate = (await rateOf(120)) * (transactionBytes / 100);
  expectRate(bytesRate, 20 * transactionBytes, 'bytes of the stream');

  // A limit that would take minutes, and none.
  await patch(pair, { incremental: { bytesPerSecond: 1000 } });
  await write(50);
  const stuck = await arrived();
  await patch(pair, { incremental: { bytesPerSecond: null } });
  await twin.settle();
  expect(await arrived()).toBeGreaterThan(stuck);
  expect(await twin.differences()).toEqual([]);
});
