import type pg from 'pg';
import { resetTables, untilMarker, writeMarker } from './load.ts';
import type { Replication } from './replication.ts';
import { alternate, type Bench } from './rounds.ts';
import { compare, median, percentile, rounded } from './statistics.ts';

const WARM_UP = 50;

/** W3: from commit to visible at a steady rate. Seen by a listener: a trigger notifies when a marker is visible. */
export async function latency(bench: Bench, perSecond: number, seconds: number) {
  const { native, pgtwin } = await alternate(bench, (on) => latencyOnce(bench, on, perSecond, seconds));
  const p50 = compare(
    native.map((r) => r.p50),
    pgtwin.map((r) => r.p50),
    'lower',
  );
  const worst = (of: readonly { p99: number }[]) => rounded(median(of.map((r) => r.p99)));
  return {
    unit: 'milliseconds from commit to visible',
    perSecond,
    ...p50,
    p50Ms: p50.pgtwin,
    p99Ms: pgtwin.length > 0 ? worst(pgtwin) : undefined,
    nativeP50Ms: p50.native,
    nativeP99Ms: native.length > 0 ? worst(native) : undefined,
    /** How much longer the last tenth took than the first: about 1 if nothing falls behind. */
    drift: pgtwin.length > 0 ? rounded(median(pgtwin.map((r) => r.drift))) : undefined,
  };
}

const notifySql = /* sql */ `
create or replace function load.seen() returns trigger language plpgsql as $$
begin
  perform pg_catalog.pg_notify('seen', new.id::text);
  return null;
end $$;
create or replace trigger seen after insert on bench.marker for each row execute function load.seen();
alter table bench.marker enable always trigger seen;`;

type Latency = { readonly p50: number; readonly p99: number; readonly drift: number };

async function latencyOnce(
  { databases, scale, say }: Bench,
  on: Replication,
  perSecond: number,
  seconds: number,
): Promise<Latency> {
  const { a, b } = databases;
  await b.client.query(notifySql);
  await on.attach();
  const listener = await b.connect();
  const seenAt = new Map<number, number>();
  listener.on('notification', ({ payload }) => seenAt.set(Number(payload), performance.now()));
  await listener.query('listen seen');
  const committedAt = await writeSteadily(await Promise.all([a.connect(), a.connect()]), {
    perSecond,
    seconds,
    scale,
  });
  await untilMarker(b, await writeMarker(a));
  // The listener hears of the last ones in its own time.
  while ([...committedAt.keys()].some((id) => !seenAt.has(id)))
    await new Promise((resolve) => setTimeout(resolve, 10));
  await listener.end();
  const all = [...committedAt].map(([id, at]) => seenAt.get(id)! - at).slice(WARM_UP);
  const tenth = Math.ceil(all.length / 10);
  const result = {
    p50: percentile(all, 0.5),
    p99: percentile(all, 0.99),
    drift: percentile(all.slice(-tenth), 0.5) / percentile(all.slice(0, tenth), 0.5),
  };
  say(
    `  ${on.name.padEnd(7)} p50 ${result.p50.toFixed(2)} ms, p99 ${result.p99.toFixed(2)} ms, drift ${result.drift.toFixed(2)}, ${all.length} transactions`,
  );
  await on.detach();
  await b.client.query(/* sql */ `drop trigger seen on bench.marker`);
  await resetTables(databases);
  return result;
}

const FIRST_ID = 1_000_000_000;

/** Transactions at fixed times, whatever the earlier ones take. Gives when each was committed, by its marker. */
async function writeSteadily(
  clients: readonly pg.Client[],
  { perSecond, seconds, scale }: { perSecond: number; seconds: number; scale: number },
): Promise<Map<number, number>> {
  const committedAt = new Map<number, number>();
  const count = perSecond * seconds;
  const start = performance.now();
  let next = 0;
  await Promise.all(
    clients.map(async (client) => {
      while (next < count) {
        const n = next++;
        const wait = start + (n * 1000) / perSecond - performance.now();
        if (wait > 1) await new Promise((resolve) => setTimeout(resolve, wait));
        const aid = 1 + Math.floor(Math.random() * 100_000 * scale);
        await client.query({ name: 'write', text: writeSql, values: [FIRST_ID + n, aid] });
        committedAt.set(FIRST_ID + n, performance.now());
      }
    }),
  );
  await Promise.all(clients.map((client) => client.end()));
  return committedAt;
}

/** Three rows in one round trip and one transaction. */
const writeSql = /* sql */ `
with account as (update bench.accounts set abalance = abalance + 1 where aid = $2::int),
     teller as (update bench.tellers set tbalance = tbalance + 1 where tid = 1 + $2::int % 10)
insert into bench.marker values ($1::int, clock_timestamp())`;
