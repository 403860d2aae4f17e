import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { ident, literal } from '../../shared/postgres/ident.ts';
import { openPlatform, openTwin, type TestPlatform, type Twin } from '../support/twin.ts';
import { moreSamples, samples, unmakeable } from './types.samples.ts';

let on: TestPlatform;
beforeAll(async () => {
  on = await openPlatform();
});
afterAll(async () => {
  await on?.[Symbol.asyncDispose]();
});

const userTypes = /* sql */ `
  create schema "Sch.ema";
  create type "Sch.ema"."Mood" as enum ('sad', 'it''s "ok" \\ ☃', 'a,b{c}');
  create domain "Sch.ema".amount as numeric(12, 2) check (value > 0);
  create domain "Sch.ema".amounts as "Sch.ema".amount[];
  create domain "Sch.ema".letter as "char";
  create domain "Sch.ema".nested_letter as "Sch.ema".letter check (value <> 'x'::"char");
  create domain "Sch.ema".xml_doc as xml;
  create domain "Sch.ema".moods as "Sch.ema"."Mood"[];
  create domain "Sch.ema".deep as "Sch.ema".amounts;
  create type "Sch.ema"."Pair" as (a int, "b ""c" text, d int[], mood "Sch.ema"."Mood");
  create type "Sch.ema".outer_pair as (one "Sch.ema"."Pair", many "Sch.ema"."Pair"[], letter "Sch.ema".letter);
  create type "Sch.ema".text_range as range (subtype = text, multirange_type_name = "Sch.ema".text_range_multirange);
  create domain "Sch.ema".pair_domain as "Sch.ema"."Pair";
  create table "Sch.ema"."we""ird.täble náme" (
    "select" int, "User""Name" text, "naïve ☃" text, "MiXed" text not null, "with space" "Sch.ema"."Mood", "a.b" text,
    "back\\slash" text, "$1" int, primary key ("select", "MiXed"));
  create table swap (id int primary key, n int unique);
  insert into swap values (1, 1), (2, 2);`;

/** Set-based statements fail on it, so that the whole transaction is replayed change by change. */
const swap = `update swap set n = 3 where n = 1; update swap set n = 1 where n = 2; update swap set n = 2 where n = 3;`;

type Column = { readonly name: string; readonly type: string; readonly values: readonly string[] };

/** A column for every type of pg_catalog that one can have, and for arrays of it. */
async function columnsOfCatalogue(): Promise<Column[]> {
  const client = new pg.Client(inject('postgres').a.url);
  await client.connect();
  try {
    const { rows } = await client.query<{ name: string; type: string; array: string | null }>(
      /* sql */ `
      select typname as name, format_type(oid, null) as type, case when typarray <> 0 then format_type(typarray, null) end as array
        from pg_type
       where typnamespace = 'pg_catalog'::regnamespace and typtype in ('b', 'r', 'm') and typname !~ '^_'
       order by typname`,
    );
    expect(rows.filter((r) => !unmakeable.has(r.name) && !samples[r.name]).map((r) => r.name)).toEqual([]);
    return rows
      .filter((r) => samples[r.name])
      .flatMap(({ name, array }): Column[] => {
        const type = `pg_catalog.${ident(name)}`;
        const values = samples[name]!.map((value) => `${literal(value)}::${type}`);
        const arrays = values.map((v, i) => `array[${v}, null, ${values[(i + 1) % values.length]}]`);
        return [
          { name: `c_${name}`, type, values },
          ...(array === null ? [] : [{ name: `a_${name}`, type: `${type}[]`, values: arrays }]),
        ];
      });
  } finally {
    await client.end();
  }
}

const columnsOfUsers: readonly Column[] = moreSamples.map(([type, ...values], i) => ({
  name: `m_${i}`,
  type,
  values: values.map((value) => `${literal(value)}::${type.replace(/ collate.*/, '')}`),
}));

/** A table with a column for every type, and how its rows are written: each value of each type, and NULL. */
async function everyType() {
  const columns = [...(await columnsOfCatalogue()), ...columnsOfUsers];
  const count = Math.max(...columns.map((c) => c.values.length));
  const names = columns.map((c) => ident(c.name));
  const create = `create table every (id int primary key, ${columns.map((c) => `${ident(c.name)} ${c.type}`).join(', ')})`;
  const row = (id: number, n: number) =>
    `(${[id, ...columns.map((c) => (n === count ? 'null' : c.values[n % c.values.length]))].join(', ')})`;
  return {
    create,
    rows: count + 1,
    insert: (base: number) =>
      `insert into every values ${Array.from({ length: count + 1 }, (_, n) => row(base + n, n)).join(', ')};`,
    /** Each row gets the values of the next. */
    rotate: (base: number) =>
      `update every t set ${names.map((n) => `${n} = s.${n}`).join(', ')} from every s
        where t.id between ${base} and ${base + count} and s.id = ${base} + (t.id - ${base} + 1) % ${count + 1};`,
  };
}

async function expectEqual(twin: Twin, rows: number): Promise<void> {
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
  for (const side of [twin.a, twin.b])
    expect(await side.superuserRows('select count(*)::int as n from public.every')).toEqual([{ n: rows }]);
  expect(await twin.conflicts()).toEqual([]);
}

test('every type arrives as it was written: copied, inserted, updated, one by one, in both directions', async () => {
  const every = await everyType();
  await using twin = await openTwin(on, { schema: `${userTypes} ${every.create}; ${every.insert(1000)}` });
  await expectEqual(twin, every.rows);
  await twin.a.query(every.insert(2000));
  await twin.b.query(every.insert(3000));
  await expectEqual(twin, 3 * every.rows);
  await twin.a.query(every.rotate(1000));
  await twin.b.query(every.rotate(2000));
  await expectEqual(twin, 3 * every.rows);
  await twin.a.query(`begin; ${swap} ${every.insert(4000)} commit`);
  await twin.settle();
  await twin.b.query(`begin; ${swap} ${every.insert(5000)} commit`);
  await expectEqual(twin, 5 * every.rows);
  await twin.a.query(`begin; ${swap} ${every.rotate(5000)} commit`);
  await twin.settle();
  await twin.b.query(
    `begin; ${swap} ${every.rotate(4000)} delete from every where id between 1000 and 1999; commit`,
  );
  await expectEqual(twin, 4 * every.rows);
});

test('names with any letters in them, and values of a megabyte', async () => {
  await using twin = await openTwin(on, {
    schema: `${userTypes}
      create table big (id int primary key, t text, b bytea, j jsonb, other int);
      alter table big alter t set storage external, alter b set storage external, alter j set storage external;
      insert into big values (1, repeat('ä"\\''☃', 200000), decode(repeat('00ff5c', 300000), 'hex'),
        jsonb_build_object('b', repeat('x', 1000000)), 0);
      insert into "Sch.ema"."we""ird.täble náme" values (1, 'ü', '☃', 'K', 'it''s "ok" \\ ☃', 'x', 'y', 2);`,
  });
  const weird = '"Sch.ema"."we""ird.täble náme"';
  await twin.a.query(`insert into ${weird} values (1, null, '', 'k', 'sad', '\\', '$1', 3);
    update ${weird} set "select" = 5, "User""Name" = 'changed' where "MiXed" = 'K';`);
  await twin.settle();
  await twin.b.query(`update ${weird} set "$1" = "$1" + 1, "back\\slash" = E'\\\\' where "MiXed" = 'k';
    insert into ${weird} ("select", "MiXed") select g, 'ß' || g from generate_series(1, 10) g;
    delete from ${weird} where "MiXed" = 'ß3'; begin; ${swap} update ${weird} set "a.b" = "MiXed" where "select" > 5; commit`);
  await twin.b.query(`insert into big select g, repeat(chr(9731 + g), 350000), decode(repeat('0a', 1000000), 'hex'), null, g
    from generate_series(2, 4) g`);
  await twin.settle();
  await twin.a.query(`update big set other = 1`);
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
  await twin.a.query(
    `begin; ${swap} update big set other = 2, t = t || '.' where id < 3; update big set other = 3 where id = 1; commit`,
  );
  await twin.b.query(
    `update big set b = b || '\\x00', other = 4 where id = 3; update big set j = '[]', other = 5 where id = 3`,
  );
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
  expect(await twin.a.rows('select id, length(t) as t, length(b) as b, other from big order by id')).toEqual([
    { id: 1, t: 1_000_001, b: 900_000, other: 3 },
    { id: 2, t: 350_001, b: 1_000_000, other: 2 },
    { id: 3, t: 350_000, b: 1_000_001, other: 5 },
    { id: 4, t: 350_000, b: 1_000_000, other: 1 },
  ]);
  expect(await twin.conflicts()).toEqual([]);
});

/** Defaults of a database that change how values are printed or read, or what a transaction may do. */
const odd: readonly (readonly [string, string])[] = [
  ['DateStyle', 'SQL, DMY'],
  ['IntervalStyle', 'sql_standard'],
  ['extra_float_digits', '-15'],
  ['bytea_output', 'escape'],
  ['xmlbinary', 'hex'],
  ['xmloption', 'document'],
  ['search_path', 'pg_temp, "Sch.ema", public, pg_catalog'],
  ['TimeZone', 'Asia/Kathmandu'],
  ['lc_monetary', 'C'],
  ['lc_numeric', 'C'],
  ['client_encoding', 'LATIN1'],
  ['standard_conforming_strings', 'off'],
  ['array_nulls', 'off'],
  ['quote_all_identifiers', 'on'],
  ['transform_null_equals', 'on'],
  ['row_security', 'off'],
  ['default_transaction_read_only', 'on'],
  ['default_transaction_isolation', 'serializable'],
  ['default_transaction_deferrable', 'on'],
  ['session_replication_role', 'local'],
  ['statement_timeout', '1min'],
  ['plan_cache_mode', 'force_custom_plan'],
  ['default_text_search_config', 'pg_catalog.german'],
];

test('whatever the defaults of a database are, no value changes', async () => {
  const every = await everyType();
  const settings = odd.map(
    ([name, value]) => `set ${name} to ${value.includes('"') ? value : literal(value).trim()}`,
  );
  const here = `do $$ begin ${settings.map((s) => `execute format('alter database %I ' || ${literal(s)}, current_database());`).join(' ')} end $$;`;
  await using twin = await openTwin(on, {
    // The settings are those of later sessions; rows are there on one side only.
    schema: `${userTypes} ${every.create};
      create function pg_temp.fill() returns void language plpgsql as $f$ begin
        if current_database() like 'test_a_%' then ${every.insert(1000)} end if; end $f$;
      select pg_temp.fill(); ${here}`,
    both: true,
    forward: { types: { schema: false, full: true, incremental: true } },
  });
  // Sessions of the test that write have the built-in defaults.
  const plain = 'set default_transaction_read_only to off; set xmloption to content; set array_nulls to on';
  for (const side of [twin.a, twin.b]) await side.superuserRows(plain);
  await expectEqual(twin, every.rows);
  const [a, b] = [await twin.a.connect(), await twin.b.connect()];
  for (const client of [a, b])
    await client.query(`${odd.map(([name]) => `set ${name} to default`).join('; ')}; ${plain};
      set datestyle to iso; set standard_conforming_strings to on; set client_encoding to utf8; set transform_null_equals to off;
      set default_transaction_isolation to 'read committed'; set search_path to public, "Sch.ema"; set timezone to 'UTC';
      set session_replication_role to origin`);
  await a.query(every.insert(2000));
  await b.query(every.insert(3000));
  await expectEqual(twin, 3 * every.rows);
  await a.query(`begin; ${swap} ${every.rotate(1000)} commit`);
  await twin.settle();
  await b.query(`begin; ${swap} ${every.rotate(2000)} commit; ${every.rotate(1000)}`);
  await expectEqual(twin, 3 * every.rows);
});
