import { differingTables, resetTables } from './load.ts';
import { alternate, type Bench } from './rounds.ts';
import { compare } from './statistics.ts';
import { cpuSeconds, difference, peakMegabytes } from './usage.ts';

/**
 * W4: the initial copy of the accounts table with its key, from the start (the subscription; the task's start) until
 * changes are replicated in that direction. What comes before (publication; configuration and precheck) is not in it.
 */
export async function copy(bench: Bench) {
  const { databases, scale, say } = bench;
  const { b } = databases;
  const definition = await tablesOf(bench);
  const rows = 100_000 * scale;
  const { native, pgtwin } = await alternate(bench, async (on) => {
    await b.client.query(/* sql */ `drop schema bench cascade`);
    // pgtwin makes the tables itself; native replication has to find them.
    if (on.name === 'native') await b.client.query(definition);
    await on.prepareCopy();
    const before = cpuSeconds(databases, on);
    const start = performance.now();
    await on.copy();
    const seconds = (performance.now() - start) / 1000;
    const used = difference(before, cpuSeconds(databases, on));
    await on.settle();
    const differing = await differingTables(databases);
    say(
      `  ${on.name.padEnd(7)} ${seconds.toFixed(2)} s, ${Math.round(rows / seconds)} rows/s, processor ${JSON.stringify(used)}, memory ${JSON.stringify(peakMegabytes(on))}` +
        (differing.length > 0 ? `, differing: ${differing.join(', ')}` : ', equal'),
    );
    await on.detach();
    await resetTables(databases);
    return rows / seconds;
  });
  return { unit: 'rows per second', rows, ...compare(native, pgtwin, 'higher') };
}

const tableSql = /* sql */ `
select string_agg(format('create table bench.%I (%s, primary key (%s))', c.relname,
         (select string_agg(format('%I %s%s', a.attname, format_type(a.atttypid, a.atttypmod),
                                   case when a.attnotnull then ' not null' else '' end), ', ' order by a.attnum)
            from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
         (select string_agg(quote_ident(a.attname), ', ')
            from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = any(i.indkey)
           where i.indrelid = c.oid and i.indisprimary)), '; ') as sql
  from pg_class c where c.relnamespace = 'bench'::regnamespace and c.relkind = 'r'`;

async function tablesOf({ databases }: Bench): Promise<string> {
  const { rows } = await databases.a.client.query<{ sql: string }>(tableSql);
  return `create schema bench; ${rows[0]!.sql}`;
}
