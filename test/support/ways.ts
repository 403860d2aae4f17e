import { expect } from 'vitest';
import type { TestDatabase } from './database.ts';
import { openTwin, type TestPlatform, type Twin, type TwinOptions } from './twin.ts';

/**
 * The ways on which a change can arrive. `single`: as a batch of its own. `batch`: with those of its step, netted.
 * `exact`: change by change, because set-based statements fail on what else the transaction does.
 */
export const ways = ['single', 'batch', 'exact'] as const;
type Way = (typeof ways)[number];

/** Transactions (each as SQL without begin and commit) after which the two databases must be equal. */
export type StepOfWays = readonly string[];

/** Time for a test of many steps: 20 s, and much more where a machine is busy. */
export const MANY_STEPS_MS = 400_000;

/** A unique value is passed on between two rows, as no set of rows can be written. */
const swap = `update swap set n = 3 where n = 1; update swap set n = 1 where n = 2; update swap set n = 2 where n = 3;`;
const swapTable = `create table swap (id int primary key, n int unique); insert into swap values (1, 1), (2, 2);`;

const schemaOf = (way: Way, side: 'a' | 'b') => `${way}_${side}`;

/**
 * Runs the steps on every way and in both directions, each in a schema of its own. After each step both databases are
 * equal, what the writer wrote is as it left it, and no conflict was met.
 */
export async function inAllWays(
  on: TestPlatform,
  schema: string,
  steps: readonly StepOfWays[],
  options: Partial<TwinOptions> = {},
): Promise<void> {
  const schemas = ways.flatMap((way) => (['a', 'b'] as const).map((side) => schemaOf(way, side)));
  const create = schemas.map((s) => `create schema ${s}; set search_path to ${s}; ${swapTable} ${schema};`);
  await using twin = await openTwin(on, { schema: create.join('\n'), ...options });
  const failures: unknown[] = [];
  let known = 0;
  for (const [n, step] of steps.entries()) {
    const written = new Map<string, string>();
    for (const way of ways) {
      const release = way === 'batch' ? await holdApply(twin) : async () => {};
      for (const side of [twin.a, twin.b]) {
        const here = schemaOf(way, side.side);
        for (const transaction of step) {
          const sql = `set search_path to ${here}; begin; ${way === 'exact' ? swap : ''} ${transaction}; commit`;
          await side.query(sql).catch((error: Error) => {
            error.message += ` in step ${n}: ${transaction.slice(0, 200)}`;
            throw error;
          });
        }
        written.set(here, await contentOf(side, here));
      }
      await release();
    }
    await twin.settle();
    const differences = await twin.differences();
    const changed: string[] = [];
    for (const [here, content] of written)
      if ((await contentOf(here.endsWith('a') ? twin.a : twin.b, here)) !== content) changed.push(here);
    const conflicts = (await twin.conflicts()).map(
      (c) => `${c['schema_name']}.${c['table_name']}: ${c['kind']}`,
    );
    if (differences.length + changed.length > 0 || conflicts.length > known)
      failures.push({
        step: step.join('; ').slice(0, 300),
        differences,
        changed,
        conflicts: conflicts.slice(known),
      });
    known = conflicts.length;
  }
  expect(failures).toEqual([]);
}

const contentSql = /* sql */ `
  select string_agg(format('%I ', relname) || query_to_xml(format(
    'select count(*), md5(string_agg(t::text, chr(10) order by t::text collate "C")) from only %I.%I t', $1::text, relname),
    true, false, '')::text, chr(10) order by relname) as content
  from pg_class where relnamespace = $1::text::regnamespace and relkind = 'r'`;

/** What the tables of a schema hold, as text. */
async function contentOf(side: TestDatabase, schema: string): Promise<string> {
  const [row] = await side.superuserRows<{ content: string }>(contentSql, [schema]);
  return row!.content;
}

/** Lets messages pile up before both applies, until released: then they come in few batches. */
export async function holdApply(twin: Twin): Promise<() => Promise<void>> {
  const clients = [await twin.a.connect(), await twin.b.connect()];
  for (const client of clients) {
    await client.query('begin; select from pgtwin.apply_progress for update');
  }
  // What is sent first would travel alone.
  for (const side of [twin.a, twin.b]) await side.query('update pgtwin.heartbeat set at = now()');
  return async () => {
    for (const client of clients) {
      await client.query('rollback');
      await client.end();
    }
  };
}
