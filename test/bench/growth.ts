import { untilMarker, writeMarker } from './load.ts';
import { holdSenders } from './replication.ts';
import type { Bench } from './rounds.ts';
import { rounded } from './statistics.ts';

type Case = {
  readonly tables: number;
  readonly rowBytes: number;
  readonly perTransaction: number;
  readonly rows: number;
  /** Of the pair. */
  readonly shards: number;
};
export type Grown = Case & { readonly rowsPerSecond: number; readonly megabytesPerSecond: number };

const usual: Case = { tables: 1, rowBytes: 100, perTransaction: 10, rows: 60_000, shards: 1 };

/** One thing at a time grows; the others stay as usual. */
const series: Readonly<Record<string, readonly Case[]>> = {
  rows: [20_000, 60_000, 180_000].map((rows) => ({ ...usual, rows })),
  shards: [1, 2, 4, 8].map((shards) => ({ ...usual, rows: 180_000, shards })),
  tables: [1, 10, 100].map((tables) => ({ ...usual, tables })),
  rowBytes: [100, 1_000, 10_000, 100_000].map((rowBytes) => ({
    ...usual,
    rowBytes,
    rows: Math.min(usual.rows, Math.round(100e6 / rowBytes)),
  })),
  perTransaction: [1, 10, 100, 10_000, 100_000, 1_000_000].map((perTransaction) => ({
    ...usual,
    perTransaction,
    rows: Math.max(usual.rows, perTransaction),
  })),
};

const fillSql = (prefix: string) => /* sql */ `
create or replace procedure load.grow(tables int, rows int, per int, bytes int) language plpgsql as $$
declare
  payload text := repeat(md5(random()::text), bytes / 32 + 1);
begin
  for i in 0..rows / per - 1 loop
    execute format('insert into bench.%I select $1 * $2 + g, left(md5(g::text) || $3, $4) from generate_series(1, $2) g',
                   '${prefix}' || i % tables) using i, per, payload, bytes;
    commit;
  end loop;
end $$`;

/**
 * Growth: how fast a backlog of inserts is drained with more of it, more shards and tables, larger rows and larger transactions.
 * Throws if a figure falls to less than a third of the largest of its series where it should stay level.
 */
export async function growth(bench: Bench): Promise<Record<string, Grown[]>> {
  const { databases, say } = bench;
  const results: Record<string, Grown[]> = {};
  await databases.a.client.query(fillSql('grown_'));
  for (const [name, cases] of Object.entries(series)) {
    results[name] = [];
    for (const each of cases) {
      const grown = await grow(bench, each);
      results[name].push(grown);
      say(
        `  ${name.padEnd(18)} ${String(each[name as keyof Case]).padStart(7)}: ${Math.round(grown.rowsPerSecond)} rows/s, ${grown.megabytesPerSecond.toFixed(1)} MB/s`,
      );
    }
  }
  for (const name of ['rows', 'tables']) {
    const speeds = results[name]!.map(({ rowsPerSecond }) => rowsPerSecond);
    if (Math.min(...speeds) < Math.max(...speeds) / 3)
      throw new Error(
        `With more ${name} the time grows faster than linearly: ${speeds.map(Math.round)} rows/s.`,
      );
  }
  return results;
}

async function grow({ databases, twin }: Bench, of: Case): Promise<Grown> {
  const { a, b } = databases;
  const names = Array.from({ length: of.tables }, (_, n) => `bench.grown_${n}`);
  for (const { client } of [a, b])
    await client.query(names.map((n) => `create table ${n} (id bigint primary key, payload text)`).join(';'));
  await twin.attach({}, of.shards);
  const release = await holdSenders(databases, 'a');
  // What is repeated would be compressed away by TOAST, not by the stream.
  for (const name of names) await a.client.query(`alter table ${name} alter payload set storage external`);
  await a.client.query('set synchronous_commit = off');
  await a.client.query(`call load.grow(${of.tables}, ${of.rows}, ${of.perTransaction}, ${of.rowBytes})`);
  await a.client.query('reset synchronous_commit');
  const marker = await writeMarker(a);
  const start = performance.now();
  release();
  await untilMarker(b, marker);
  const seconds = (performance.now() - start) / 1000;
  await twin.detach();
  for (const { client } of [a, b]) await client.query(`drop table ${names.join(', ')}`);
  return {
    ...of,
    rowsPerSecond: rounded(of.rows / seconds),
    megabytesPerSecond: rounded((of.rows * of.rowBytes) / 1e6 / seconds),
  };
}
