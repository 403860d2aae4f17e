import type { SQSEvent } from 'aws-lambda';
import { afterAll, beforeAll, expect, test } from 'vitest';
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

/**
 * Within ten percent, the promise. Between two chunks of the copy a busy machine adds time of its own, which is not
 * the limit's doing: there the lower bound is wider.
 */
function expectRate(measured: number, limit: number, what: string, least = 0.9): void {
  process.stdout.write(`${what}: ${measured.toFixed(2)} per second, limit ${limit}\n`);
  expect(measured, what).toBeGreaterThan(limit * least);
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

test('full: rows per second over all lanes', async () => {
  await using twin = await openTwin(on, {
    schema: `${table}; ${filler(1_000_001, 1_048_000)}; analyze item`,
    oneWay: true,
    forward: { copyParallelism: 2, chunkRows: 6000, limits: { full: { rowsPerSecond: 4000 } } },
  });
  expect((await chunksOf(twin)).length).toBeGreaterThanOrEqual(8);
  const [copy] = await twin.b.rows<{ rows: number; seconds: number }>(
    `select sum(copied_rows) filter (where chunk >= 0)::int as rows,
       extract(epoch from max(at) filter (where chunk < 0) - min(at) filter (where chunk >= 0))::float8 as seconds
     from pgtwin.copy_chunk where relation <> ''`,
  );
  expectRate(copy!.rows / copy!.seconds, 4000, 'rows of the copy', 0.75);
  expect(await twin.differences()).toEqual([]);
});

test('full: queries per second, and changed while it runs', async () => {
  const opening = openTwin(on, {
    schema: `${table}; ${filler(1_000_001, 1_010_000)}; analyze item`,
    oneWay: true,
    forward: {
      ...{ copyParallelism: 1, chunkRows: 1000 },
      // The rows alone would take more than a minute.
      limits: { full: { queriesPerSecond: 1, rowsPerSecond: 100 } },
    },
  });
  type Listed = { pairs: { id: string; deleting: boolean; tasks: { forward: { state: string } } }[] };
  const pair = await until('the copy', async () => {
    const { pairs } = await on.call<Listed>('GET', '/v1/pairs');
    return pairs.find(({ deleting, tasks }) => !deleting && tasks.forward.state === 'Initializing')?.id;
  });
  await patch(pair, { full: { rowsPerSecond: null } });
  await using twin = await opening;
  const chunks = await chunksOf(twin);
  // The first one may have begun under the old limit.
  const measured = chunks.slice(2);
  const seconds = measured.at(-1)!.at - measured[0]!.at;
  expect(seconds).toBeGreaterThan(4);
  expectRate((measured.length - 1) / seconds, 1, 'chunks of the copy', 0.75);
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
