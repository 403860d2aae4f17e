import pg from 'pg';
import { expect } from 'vitest';
import type { TestDatabase } from './database.ts';
import type { Twin } from './twin.ts';
import { until } from './wait.ts';

/**
 * Each transaction of a side adds one row to `ledger` and one to each of two counters of that side: whatever happens,
 * a side's counters sum up to twice its ledger, and three row changes per ledger row must have been applied, no more.
 */
export const writesSchema = /* sql */ `
  create table counter (id int primary key, n bigint not null default 0);
  insert into counter select g from generate_series(0, 19) g;
  create table ledger (id bigint primary key, side text not null, pad text)`;
const CHANGES = 3;

export type Side = 'a' | 'b';
export type Writes = AsyncDisposable & {
  /** Transactions that each side has committed so far, as far as its writer knows. */
  readonly committed: Readonly<Record<Side, number>>;
  /** What there was before, when nobody wrote. */
  readonly before: Promise<Tally>;
  /** Waits for so many more, on every side that writes. */
  more(count: number): Promise<void>;
  stop(): Promise<void>;
};

/** Rows written and row changes applied, by direction. */
type Tally = Readonly<Record<'f' | 'r', { readonly written: number; readonly applied: number }>>;

async function tallyOf(twin: Twin): Promise<Tally> {
  const count = async (direction: 'f' | 'r', from: TestDatabase, to: TestDatabase) => {
    const [rows] = await from.rows<{ n: number }>(
      /* sql */ `select count(*)::int as n from ledger where side = $1`,
      [from.side],
    );
    const [progress] = await to.superuserRows<{ n: string }>(
      /* sql */ `select sum(changes)::text as n from pgtwin.apply_progress where task = $1`,
      [`${twin.pair}_${direction}`],
    );
    return { written: rows!.n, applied: Number(progress?.n ?? 0) };
  };
  return { f: await count('f', twin.a, twin.b), r: await count('r', twin.b, twin.a) };
}

/** Writes on both sides, in transactions of their own rows, some hundred per second, until stopped. */
export function startWrites(twin: Twin, sides: readonly Side[] = ['a', 'b']): Writes {
  const committed = { a: 0, b: 0 };
  const stop = new AbortController();
  const before = tallyOf(twin);
  const running = sides.map(async (side) => {
    await before;
    await write(twin[side], side, stop.signal, () => committed[side]++);
  });
  const end = async (): Promise<void> => {
    stop.abort();
    await Promise.all(running);
  };
  return {
    committed,
    before,
    async more(count) {
      const from = { ...committed };
      await until(
        `${count} more transactions`,
        async (saw) => {
          saw(committed);
          return sides.every((side) => committed[side] >= from[side] + count);
        },
        { timeoutMs: 60_000 },
      );
    },
    stop: end,
    [Symbol.asyncDispose]: end,
  };
}

const odd = { a: 0, b: 1 } as const;

/** A server that restarts under the writer is waited for. */
async function write(
  database: TestDatabase,
  side: Side,
  signal: AbortSignal,
  wrote: () => void,
): Promise<void> {
  while (!signal.aborted) {
    const client = new pg.Client({ connectionString: database.url, application_name: 'pgtwin test' });
    client.on('error', () => {});
    try {
      await client.connect();
      const { rows } = await client.query(
        /* sql */ `select coalesce(max(id) / 2, 0)::int as last from ledger where side = $1`,
        [side],
      );
      for (let n = rows[0].last + 1; !signal.aborted; n++) {
        const counters = [2 * (n % 10) + odd[side], 2 * ((n * 7 + 1) % 10) + odd[side]];
        await client.query(/* sql */ `begin;
          insert into ledger values (${2 * n + odd[side]}, '${side}', repeat('${side}', ${n % 50}));
          update counter set n = n + 1 where id = ${counters[0]};
          update counter set n = n + 1 where id = ${counters[1]};
          commit;
          select pg_sleep(0.004)`);
        wrote();
      }
    } catch (error) {
      if (!/^(57P|08|ECONN|EPIPE)/.test((error as { code?: string }).code ?? '57P')) throw error;
    } finally {
      await client.end().catch(() => {});
    }
  }
}

/** Both databases are equal, and every change of the writes, which have stopped, was applied once. */
export async function expectEqual(twin: Twin, writes: Writes): Promise<void> {
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
  expect(await twin.conflicts()).toEqual([]);
  for (const side of [twin.a, twin.b]) {
    const { rows } = await side.query(/* sql */ `
      select side, count(*)::int as n, (select sum(n)::int from counter where id % 2 = (side = 'b')::int) as counted
        from ledger where side in ('a', 'b') group by side order by side`);
    for (const { n, counted } of rows) expect(counted).toBe(2 * n);
  }
  const [before, now] = [await writes.before, await tallyOf(twin)];
  for (const d of ['f', 'r'] as const)
    expect([d, now[d].applied - before[d].applied]).toEqual([
      d,
      CHANGES * (now[d].written - before[d].written),
    ]);
}
