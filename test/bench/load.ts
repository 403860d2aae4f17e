import type { Side } from '../../shared/task/schema.ts';
import type { BenchDatabase, BenchDatabases } from './databases.ts';

/**
 * The tables of pgbench with a key for the history, and a table of markers: a row in it says that everything before
 * it has arrived.
 */
const tablesSql = /* sql */ `
create schema bench;
create table bench.branches (bid int primary key, bbalance int not null, filler char(88));
create table bench.tellers (tid int primary key, bid int not null, tbalance int not null, filler char(84));
create table bench.accounts (aid int primary key, bid int not null, abalance int not null, filler char(84));
create table bench.history (id bigint primary key, tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
create table bench.marker (id bigint primary key, at timestamptz);
create table bench.large (id bigint primary key, n int, payload text);
create schema load;
create sequence load.history_id increment 2;
create procedure load.transactions(n int, scale int) language plpgsql as $$
declare
  a int; t int; d int;
begin
  for i in 1..n loop
    a := 1 + floor(random() * 100000 * scale);
    t := 1 + floor(random() * 10 * scale);
    d := floor(random() * 10001) - 5000;
    update bench.accounts set abalance = abalance + d where aid = a;
    update bench.tellers set tbalance = tbalance + d where tid = t;
    update bench.branches set bbalance = bbalance + d where bid = (t - 1) / 10 + 1;
    insert into bench.history values (nextval('load.history_id'), t, (t - 1) / 10 + 1, a, d, localtimestamp);
    commit;
  end loop;
end $$;
create procedure load.disjoint(n int, scale int, half int) language plpgsql as $$
declare
  a int; b int; t int; d int;
begin
  for i in 1..n loop
    a := 1 + half + 2 * floor(random() * 50000 * scale);
    b := 1 + half + 2 * floor(random() * (scale / 2));
    t := 10 * (b - 1) + 1 + floor(random() * 10);
    d := floor(random() * 10001) - 5000;
    update bench.accounts set abalance = abalance + d where aid = a;
    update bench.tellers set tbalance = tbalance + d where tid = t;
    update bench.branches set bbalance = bbalance + d where bid = b;
    insert into bench.history values (nextval('load.history_id'), t, b, a, d, localtimestamp);
    commit;
  end loop;
end $$;`;

const rowsSql = (scale: number): string => /* sql */ `
insert into bench.branches select g, 0 from generate_series(1, ${scale}) g;
insert into bench.tellers select g, (g - 1) / 10 + 1, 0 from generate_series(1, ${10 * scale}) g;
insert into bench.accounts select g, (g - 1) / 100000 + 1, 0 , '' from generate_series(1, ${100_000 * scale}) g;`;

/** The same tables and rows on both sides. */
export async function makeTables({ a, b }: BenchDatabases, scale: number): Promise<void> {
  await Promise.all(
    [a, b].map(async ({ client, side }) => {
      await client.query(tablesSql);
      await client.query(rowsSql(scale));
      // Odd numbers for a, even ones for b.
      await client.query(/* sql */ `alter sequence load.history_id restart with ${side === 'a' ? 1 : 2}`);
      await client.query(/* sql */ `vacuum (analyze, freeze)`);
      await client.query(/* sql */ `checkpoint`);
    }),
  );
}

/** Back to what `makeTables` left. To be called while nothing is replicated. */
export async function resetTables({ a, b }: BenchDatabases): Promise<void> {
  await Promise.all(
    [a, b].map(async ({ client }) => {
      for (const [table, column] of [
        ['branches', 'bbalance'],
        ['tellers', 'tbalance'],
        ['accounts', 'abalance'],
      ])
        await client.query(/* sql */ `update bench.${table} set ${column} = 0 where ${column} <> 0`);
      await client.query(/* sql */ `truncate bench.history, bench.marker, bench.large`);
      await client.query(/* sql */ `vacuum (analyze) bench.branches, bench.tellers, bench.accounts`);
      await client.query(/* sql */ `checkpoint`);
    }),
  );
}

/** Writes so many transactions of 3 updates and 1 insert on one side, from two sessions at once. */
export async function writeTransactions(on: BenchDatabase, count: number, scale: number): Promise<void> {
  await call(on, count, (share) => /* sql */ `call load.transactions(${share}, ${scale})`);
}

/** The same of rows that the other side does not touch: odd ones for a, even ones for b. */
export async function writeDisjoint(on: BenchDatabase, count: number, scale: number): Promise<void> {
  const half = on.side === 'a' ? 0 : 1;
  await call(on, count, (share) => /* sql */ `call load.disjoint(${share}, ${scale}, ${half})`);
}

async function call(on: BenchDatabase, count: number, sql: (share: number) => string): Promise<void> {
  await Promise.all(
    [Math.ceil(count / 2), Math.floor(count / 2)].map(async (share) => {
      const client = await on.connect();
      // How the backlog came about is not measured.
      await client.query(/* sql */ `set synchronous_commit = off`);
      await client.query(sql(share));
      await client.end();
    }),
  );
}

let markers = 0;

/** A row behind everything that was committed on a side. */
export type Marker = { readonly id: number; readonly lsn: string };

const isThere = async ({ client }: BenchDatabase, table: string): Promise<boolean> => {
  const { rows } = await client.query(/* sql */ `select to_regclass($1) is not null as there`, [table]);
  return rows[0].there;
};

/** Writes a marker. With several shards it tells of its own only: a heartbeat behind it goes to all. */
export async function writeMarker(on: BenchDatabase): Promise<Marker> {
  const { client } = on;
  markers += 1;
  const id = markers;
  await client.query(/* sql */ `insert into bench.marker values ($1, clock_timestamp())`, [id]);
  const { rows } = await client.query(/* sql */ `select pg_current_wal_insert_lsn()::text as lsn`);
  if (await isThere(on, 'pgtwin.heartbeat'))
    await client.query(/* sql */ `update pgtwin.heartbeat set at = clock_timestamp()`);
  return { id, lsn: rows[0].lsn };
}

const POLL_MS = 2;

/** Waits until a marker, and all before it, is visible on a side. */
export async function untilMarker(on: BenchDatabase, marker: Marker, limitMs = 120_000): Promise<void> {
  const { client, side } = on;
  const start = performance.now();
  const until = async (isSo: () => Promise<boolean>): Promise<void> => {
    while (!(await isSo())) {
      if (performance.now() - start > limitMs)
        throw new Error(`Nothing arrived on side ${side} in ${limitMs} ms.`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  };
  await until(async () => {
    const text = /* sql */ `select from bench.marker where id = $1`;
    return (await client.query({ name: 'marker', text, values: [marker.id] })).rowCount === 1;
  });
  if (!(await isThere(on, 'pgtwin.apply_progress'))) return;
  await until(async () => {
    const { rows } = await client.query(
      /* sql */ `select bool_and(end_lsn >= $1::pg_lsn) or count(*) = 1 as passed from pgtwin.apply_progress`,
      [marker.lsn],
    );
    return rows[0].passed !== false;
  });
}

const contentsSql = /* sql */ `
select 'branches' as t, count(*), sum(hashtextextended(r::text, 0)) from bench.branches r
union all select 'tellers', count(*), sum(hashtextextended(r::text, 0)) from bench.tellers r
union all select 'accounts', count(*), sum(hashtextextended(r::text, 0)) from bench.accounts r where abalance <> 0
union all select 'history', count(*), sum(hashtextextended(r::text, 0)) from bench.history r
union all select 'large', count(*), sum(hashtextextended(r::text, 0)) from bench.large r`;

/** Tables whose contents differ between the sides. */
export async function differingTables({ a, b }: BenchDatabases): Promise<string[]> {
  const [one, other] = await Promise.all(
    [a, b].map(async ({ client }) => (await client.query(contentsSql)).rows as { t: string }[]),
  );
  return one!.filter((row, i) => JSON.stringify(row) !== JSON.stringify(other![i])).map(({ t }) => t);
}

export const otherSide = (side: Side): Side => (side === 'a' ? 'b' : 'a');
