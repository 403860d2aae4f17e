import pg from 'pg';
import { ident } from '../../shared/postgres/ident.ts';

export type Row = Readonly<Record<string, string | null>>;
/** A row that is not the same in both databases, or a table of which the two have different columns. */
export type Difference = {
  readonly table: string;
  /** Primary key as text, all columns where there is none; `[]` if the difference is the table itself. */
  readonly key: readonly (string | null)[];
  /** Undefined: not there. */
  readonly a: Row | undefined;
  readonly b: Row | undefined;
};
type Side = { readonly url: string };
type Table = { readonly name: string; readonly columns: readonly string[]; readonly key: readonly string[] };

/** Rows are compared in groups by the hash of their key, so that only groups that differ are fetched. */
const groups = 512;

/**
 * Compares all rows of all user tables (or of the given ones: `schema.table`) of two databases as text, by primary
 * key. Gives the first `limit` differences, `[]` if the databases are identical.
 */
export async function differences(
  a: Side,
  b: Side,
  tables?: readonly string[],
  limit = 20,
): Promise<Difference[]> {
  const clients = await Promise.all([connect(a), connect(b)]);
  try {
    const [ofA, ofB] = await Promise.all([readTables(clients[0], tables), readTables(clients[1], tables)]);
    const found: Difference[] = [];
    for (const name of [...new Set([...ofA.keys(), ...ofB.keys(), ...(tables ?? [])])].sort()) {
      if (found.length >= limit) break;
      const [inA, inB] = [ofA.get(name), ofB.get(name)];
      if (inA && inB && sameColumns(inA, inB)) {
        await compareRows(clients, inA, found, limit);
      } else {
        found.push({ table: name, key: [], a: shape(inA), b: shape(inB) });
      }
    }
    return found;
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

/** Text is only comparable under fixed settings. */
async function connect({ url }: Side): Promise<pg.Client> {
  const client = new pg.Client(url);
  await client.connect();
  await client.query(/* sql */ `
    set datestyle = 'ISO'; set intervalstyle = 'postgres'; set extra_float_digits = 3; set bytea_output = 'hex';
    set timezone = 'UTC'; set lc_monetary = 'C'; set search_path = ''; set row_security = off;
    set xmlbinary = 'base64'`);
  return client;
}

const tablesQuery = /* sql */ `
  select c.oid::regclass::text as name,
    format('%s.%s', n.nspname, c.relname) as plain_name,
    array(select a.attname::text from pg_attribute a
          where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attname) as columns,
    array(select a.attname::text from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey)
          where i.indrelid = c.oid and i.indisprimary order by a.attname) as key
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
    and n.nspname not in ('pg_catalog', 'information_schema', 'pgtwin')
    and ($1::text[] is null or format('%s.%s', n.nspname, c.relname) = any ($1))`;

async function readTables(client: pg.Client, only?: readonly string[]): Promise<Map<string, Table>> {
  const { rows } = await client.query(tablesQuery, [only ?? null]);
  return new Map(
    rows.map(({ name, plain_name, columns, key }) => [
      plain_name,
      { name, columns, key: key.length > 0 ? key : columns },
    ]),
  );
}

const sameColumns = (one: Table, other: Table): boolean =>
  JSON.stringify([one.columns, one.key]) === JSON.stringify([other.columns, other.key]);

const shape = (table: Table | undefined): Row | undefined =>
  table && { columns: table.columns.join(', '), key: table.key.join(', ') };

type TableQueries = { readonly totals: string; readonly rows: string };

function queriesOf({ name, columns, key }: Table): TableQueries {
  const list = (names: readonly string[], cast = ''): string =>
    names.map((column) => `t.${ident(column)}${cast}`).join(', ');
  // Two hashes of 64 bits, summed over a group: equal sums and counts mean equal rows.
  const group = `abs(hashtextextended(row(${list(key)})::text, 0) % ${groups})`;
  const row = columns.length > 0 ? `row(${list(columns)})::text` : `''`;
  return {
    totals: /* sql */ `
      select ${group}::int as group, count(*)::text || ' ' || sum(hashtextextended(${row}, 1)::numeric)::text || ' '
        || sum(hashtextextended(${row}, 2)::numeric)::text as total
      from ${name} t group by 1`,
    rows: /* sql */ `
      select array[${list(key, '::text')}]::text[] as key, ${row} as text,
        array[${list(columns, '::text')}]::text[] as values
      from ${name} t where ${group} = $1 order by 2`,
  };
}

async function compareRows(
  [a, b]: readonly pg.Client[],
  table: Table,
  found: Difference[],
  limit: number,
): Promise<void> {
  const queries = queriesOf(table);
  const read = async (client: pg.Client | undefined): Promise<Map<number, string>> => {
    const { rows } = await client!.query<{ group: number; total: string }>(queries.totals);
    return new Map(rows.map(({ group, total }) => [group, total]));
  };
  const [totalsA, totalsB] = await Promise.all([read(a), read(b)]);
  for (let group = 0; group < groups && found.length < limit; group++) {
    if (totalsA.get(group) === totalsB.get(group)) continue;
    const [rowsA, rowsB] = await Promise.all([a, b].map((client) => client!.query(queries.rows, [group])));
    found.push(...compareGroup(table, rowsA!.rows, rowsB!.rows));
  }
  found.splice(limit);
}

type FetchedRow = { readonly key: string[]; readonly text: string; readonly values: (string | null)[] };

/** By key; where a table has no key, equal rows are told apart by how many there are. */
function compareGroup(table: Table, rowsA: FetchedRow[], rowsB: FetchedRow[]): Difference[] {
  const named = ({ values }: FetchedRow): Row =>
    Object.fromEntries(table.columns.map((column, index) => [column, values[index] ?? null]));
  const byKey = (rows: FetchedRow[]): Map<string, FetchedRow> => {
    const seen = new Map<string, number>();
    return new Map(
      rows.map((row) => {
        const key = JSON.stringify(row.key);
        const times = (seen.get(key) ?? 0) + 1;
        seen.set(key, times);
        return [`${key} ${times}`, row];
      }),
    );
  };
  const [ofA, ofB] = [byKey(rowsA), byKey(rowsB)];
  return [...new Set([...ofA.keys(), ...ofB.keys()])]
    .map((key) => ({ inA: ofA.get(key), inB: ofB.get(key) }))
    .filter(({ inA, inB }) => inA?.text !== inB?.text)
    .map(({ inA, inB }) => ({
      table: table.name,
      key: (inA ?? inB)!.key,
      a: inA && named(inA),
      b: inB && named(inB),
    }));
}

/** How many rows all user tables of a database hold. */
export async function countRows(side: Side, tables?: readonly string[]): Promise<number> {
  const client = await connect(side);
  try {
    let count = 0;
    for (const { name } of (await readTables(client, tables)).values()) {
      const { rows } = await client.query<{ count: string }>(
        /* sql */ `select count(*) as count from ${name}`,
      );
      count += Number(rows[0]?.count);
    }
    return count;
  } finally {
    await client.end();
  }
}
