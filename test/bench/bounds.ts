import { readFileSync } from 'node:fs';
import { untilMarker, writeMarker } from './load.ts';
import type { Bench } from './rounds.ts';
import { rounded } from './statistics.ts';

const TABLES = 2_000;
const COLUMNS = 1_000;
const ROW_MB = 100;
const TOO_LARGE_MB = 300;

/** What is large in one respect works, or is refused with a clear message; throws where that is not so. */
export async function bounds(bench: Bench) {
  return {
    tables: await manyTables(bench),
    columns: await manyColumns(bench),
    row: await largeRow(bench),
    slowDestination: await slowDestination(bench),
  };
}

/** Made and copied by pgtwin, then one change in each. */
async function manyTables({ databases, twin, say }: Bench) {
  const { a, b } = databases;
  await a.client.query(/* sql */ `do $$ begin for n in 1..${TABLES} loop
    execute format('create table bench.many_%s (id int primary key, v text)', n);
    execute format('insert into bench.many_%s values (1, ''copied'')', n); end loop; end $$`);
  const start = performance.now();
  // Those that the load uses have rows on both sides.
  const include = ['many_*', 'marker'].map((table) => ({ schema: 'bench', table }));
  await twin.prepareCopy({ objects: { include } });
  await twin.copy();
  const copied = performance.now();
  await a.client.query(/* sql */ `do $$ begin for n in 1..${TABLES} loop
    execute format('insert into bench.many_%s values (2, ''streamed'')', n); end loop; end $$`);
  await untilMarker(b, await writeMarker(a));
  const seconds = [(copied - start) / 1000, (performance.now() - copied) / 1000].map(rounded);
  const { rows } = await b.client.query<{ n: number }>(/* sql */ `
    select sum((xpath('/row/c/text()', query_to_xml(format('select count(*) as c from bench.%I', relname), false, true, '')))[1]::text::int)::int as n
      from pg_class where relname like 'many\\_%' and relkind = 'r'`);
  if (rows[0]!.n !== 2 * TABLES) throw new Error(`${rows[0]!.n} of ${2 * TABLES} rows arrived.`);
  await twin.settle();
  await twin.detach();
  for (const { client } of [a, b])
    await client.query(/* sql */ `do $$ begin for n in 1..${TABLES} loop
      execute format('drop table bench.many_%s', n); end loop; end $$`);
  say(`  ${TABLES} tables: precheck and copy ${seconds[0]} s, a change in each ${seconds[1]} s`);
  return { tables: TABLES, copySeconds: seconds[0], changeSeconds: seconds[1] };
}

async function manyColumns({ databases, twin, say }: Bench) {
  const { a, b } = databases;
  const columns = Array.from({ length: COLUMNS - 1 }, (_, n) => `c${n} int`).join(', ');
  for (const { client } of [a, b])
    await client.query(`create table bench.wide (id int primary key, ${columns})`);
  await twin.attach();
  const start = performance.now();
  const values = Array.from({ length: COLUMNS - 1 }, (_, n) => `g + ${n}`).join(', ');
  await a.client.query(`insert into bench.wide select g, ${values} from generate_series(1, 1000) g`);
  await a.client.query('update bench.wide set c7 = -1 where id % 2 = 0');
  await a.client.query('delete from bench.wide where id % 10 = 0');
  await untilMarker(b, await writeMarker(a));
  const seconds = rounded((performance.now() - start) / 1000);
  const sum = 'select count(*), sum(hashtextextended(r::text, 0)) from bench.wide r';
  const [one, other] = await Promise.all([a, b].map(({ client }) => client.query(sum)));
  if (JSON.stringify(one!.rows) !== JSON.stringify(other!.rows)) throw new Error('Wide rows differ.');
  await twin.detach();
  for (const { client } of [a, b]) await client.query('drop table bench.wide');
  say(`  ${COLUMNS} columns: 1,000 rows written, half updated, a tenth deleted in ${seconds} s`);
  return { columns: COLUMNS, seconds };
}

async function largeRow({ databases, twin, say }: Bench) {
  const { a, b } = databases;
  const insert = (id: number, mb: number) =>
    a.client.query(
      `insert into bench.large values ($1::int, 0, repeat(md5($1::int::text), $2::int * 32768))`,
      [id, mb],
    );
  await twin.attach();
  const start = performance.now();
  await insert(1, ROW_MB);
  await untilMarker(b, await writeMarker(a));
  const seconds = rounded((performance.now() - start) / 1000);
  const { rows } = await b.client.query('select length(payload) as n from bench.large');
  if (rows[0]?.['n'] !== ROW_MB * 1024 * 1024) throw new Error(`A row of ${ROW_MB} MB did not arrive.`);
  await insert(2, TOO_LARGE_MB);
  const refused = await twin.untilFailed('forward');
  await twin.detach();
  for (const { client } of [a, b]) await client.query('truncate bench.large');
  say(`  a row of ${ROW_MB} MB in ${seconds} s; one of ${TOO_LARGE_MB} MB: ${refused}`);
  return { megabytes: ROW_MB, seconds, refusedMegabytes: TOO_LARGE_MB, refused };
}

const SLOW_SECONDS = 20;

/** The destination takes a tenth of what the source writes: what waits stays in the source's WAL, not in memory. */
async function slowDestination({ databases, twin, quick, say }: Bench) {
  const { a, b } = databases;
  await b.client.query(/* sql */ `
    create function load.slowly() returns trigger language plpgsql as $$ begin perform pg_sleep(0.0005); return new; end $$;
    create trigger slowly before insert on bench.history for each row execute function load.slowly();
    alter table bench.history enable always trigger slowly`);
  await twin.attach();
  const samples: number[] = [];
  const sample = () => samples.push(residentMegabytes(Object.values(twin.processes())));
  const timer = setInterval(sample, 500);
  const seconds = quick ? SLOW_SECONDS / 2 : SLOW_SECONDS;
  const end = performance.now() + seconds * 1000;
  let written = 0;
  while (performance.now() < end) {
    await a.client.query(/* sql */ `insert into bench.history
      select nextval('load.history_id'), 1, 1, 1, 1, localtimestamp, repeat('x', 20) from generate_series(1, 5000)`);
    written += 5_000;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  clearInterval(timer);
  const { rows } = await b.client.query<{ n: number }>('select count(*)::int as n from bench.history');
  const applied = rows[0]!.n;
  const half = samples.length >> 1;
  const [first, second] = [Math.max(...samples.slice(0, half)), Math.max(...samples.slice(half))];
  await b.client.query('drop trigger slowly on bench.history; drop function load.slowly');
  await untilMarker(b, await writeMarker(a));
  await twin.detach();
  for (const { client } of [a, b]) await client.query('truncate bench.history, bench.marker');
  say(
    `  slow destination: ${written} rows written, ${applied} applied after ${seconds} s; memory ${first} MB, then ${second} MB`,
  );
  if (second > first * 1.25 + 50) throw new Error(`Memory grows from ${first} to ${second} MB.`);
  return { written, applied, seconds, firstHalfMegabytes: first, secondHalfMegabytes: second };
}

const residentMegabytes = (pids: readonly number[]): number =>
  Math.round(
    pids.reduce((sum, pid) => {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      return sum + Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
    }, 0),
  );
