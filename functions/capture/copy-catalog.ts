import type { Heap } from '../../shared/copy/chunks.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { Queryable } from '../../shared/postgres/connect.ts';
import { qualified } from '../../shared/postgres/ident.ts';
import type { TableName } from '../../shared/task/schema.ts';
import { keyOfTable } from '../../shared/task/selection.ts';

/** Catalogue queries of the copy: each takes the whole list of tables. */
type Named = { readonly schema: string; readonly name: string };
const arrays = (tables: readonly TableName[]): [string[], string[]] => [
  tables.map((t) => t.schema),
  tables.map((t) => t.name),
];

const heapsSql = /* sql */ `
  select asked.schema as in_schema, asked.name as in_name, n.nspname as schema, l.relname as name,
         (pg_relation_size(l.oid) / current_setting('block_size')::int8)::int8 as blocks,
         (case when l.reltuples < 0 or (l.relpages = 0 and l.reltuples = 0) then -1
               when l.relpages = 0 then l.reltuples
               else l.reltuples / l.relpages * (pg_relation_size(l.oid) / current_setting('block_size')::int8)
          end)::int8 as rows,
         pg_table_size(l.oid)::int8 as bytes
    from unnest($1::text[], $2::text[]) with ordinality asked (schema, name, place)
    join pg_namespace an on an.nspname = asked.schema
    join pg_class c on c.relnamespace = an.oid and c.relname = asked.name
    join lateral (
      select c.oid where c.relkind = 'r'
      union all
      select relid from pg_partition_tree(case when c.relkind = 'p' then c.oid end)
    ) tree on true
    join pg_class l on l.oid = tree.oid and l.relkind = 'r'
    join pg_namespace n on n.oid = l.relnamespace
   order by asked.place, n.nspname collate "C", l.relname collate "C"`;

/** What holds the rows of each table: itself, or its leaves. Keys of the map as of `keyOfTable`. */
export async function readHeaps(
  client: Queryable,
  tables: readonly TableName[],
): Promise<Map<string, Heap[]>> {
  type Row = Named & { in_schema: string; in_name: string; blocks: bigint; rows: bigint; bytes: bigint };
  const { rows } = await client.query<Row>(heapsSql, arrays(tables));
  const heaps = new Map<string, Heap[]>(tables.map((t) => [keyOfTable(t), []]));
  for (const row of rows)
    heaps.get(keyOfTable({ schema: row.in_schema, name: row.in_name }))?.push({
      schema: row.schema,
      name: row.name,
      blocks: Number(row.blocks),
      estimatedRows: Number(row.rows),
      sizeBytes: Number(row.bytes),
    });
  return heaps;
}

export type CopyColumn = {
  readonly name: string;
  /** As the server prints it, with modifiers. */
  readonly type: string;
  readonly oid: string;
  readonly generated: boolean;
};

const columnsSql = /* sql */ `
  select n.nspname as schema, c.relname as table, a.attname as name,
         format_type(a.atttypid, a.atttypmod) as type, a.atttypid::text as oid, a.attgenerated <> '' as generated
    from unnest($1::text[], $2::text[]) asked (schema, name)
    join pg_namespace n on n.nspname = asked.schema
    join pg_class c on c.relnamespace = n.oid and c.relname = asked.name
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
   order by n.nspname, c.relname, a.attnum`;

/** Columns of each table, in order; tables that are not there have no entry. */
export async function readColumns(
  client: Queryable,
  tables: readonly TableName[],
): Promise<Map<string, CopyColumn[]>> {
  const { rows } = await client.query<CopyColumn & { schema: string; table: string }>(
    columnsSql,
    arrays(tables),
  );
  const columns = new Map<string, CopyColumn[]>();
  for (const { schema, table, ...column } of rows) {
    const key = keyOfTable({ schema, name: table });
    const list = columns.get(key);
    if (list) list.push(column);
    else columns.set(key, [column]);
  }
  return columns;
}

export type CopyType = {
  readonly oid: string;
  /** As in pg_type: b base, d domain, e enum, r range, m multirange, c composite. */
  readonly kind: string;
  readonly name: string;
  readonly binary: boolean;
  readonly base: string;
  readonly element: string;
  readonly subtype: string;
};

const typesSql = /* sql */ `
  with recursive used (oid) as (
    select unnest($1::text[])::oid
    union
    select part from used join pg_type t on t.oid = used.oid
    left join pg_range r on t.oid in (r.rngtypid, r.rngmultitypid)
    cross join lateral (values (t.typbasetype), (case when t.typcategory = 'A' then t.typelem end), (r.rngsubtype)) p (part)
    where part <> 0)
  select t.oid::text as oid, t.typtype as kind, t.typname as name,
         t.typsend <> 0 and t.typreceive <> 0 as binary, t.typbasetype::text as base,
         (case when t.typcategory = 'A' then t.typelem else 0 end)::text as element,
         coalesce(r.rngsubtype, 0)::text as subtype
    from used join pg_type t on t.oid = used.oid
    left join pg_range r on t.oid in (r.rngtypid, r.rngmultitypid)`;

export async function readTypes(client: Queryable, oids: Iterable<string>): Promise<Map<string, CopyType>> {
  const { rows } = await client.query<CopyType>(typesSql, [[...new Set(oids)]]);
  return new Map(rows.map((row) => [row.oid, row]));
}

/** Types of initdb have the same oid everywhere (manual, 52.1). */
const FIRST_USER_OID = 16_384;
/**
 * Types whose binary form is known to be read back as it was written. Left out on purpose: reg* (an oid of this
 * database), and int2vector, oidvector and tsquery, which the server refuses when they are empty [tried on 15, 18].
 */
const binaryTypes = new Set(
  `bool char name int2 int4 int8 oid float4 float8 numeric money text varchar bpchar bytea bit varbit json jsonb uuid
   date time timetz timestamp timestamptz interval inet cidr macaddr macaddr8 pg_lsn tsvector point`.split(
    /\s+/,
  ),
);

/**
 * Whether binary COPY carries a type between two servers of one major version. Arrays and composites carry the oids
 * of their element types, which differ for types of users; types of extensions promise nothing.
 */
export function isBinarySafe(oid: string, types: ReadonlyMap<string, CopyType>): boolean {
  const type = types.get(oid);
  if (!type?.binary) return false;
  switch (type.kind) {
    case 'e':
      return true;
    case 'd':
      return isBinarySafe(type.base, types);
    case 'r':
    case 'm':
      return isBinarySafe(type.subtype, types);
    case 'b':
      if (Number(oid) >= FIRST_USER_OID) return false;
      return type.element === '0' ? binaryTypes.has(type.name) : isBinarySafe(type.element, types);
    default:
      return false;
  }
}

export type DestinationTable = {
  /** Rows are there. */
  readonly filled: boolean;
  /** Can tell a row that is there already from one that is not. */
  readonly unique: boolean;
  /** A unique key that is checked at the end of a transaction: can not be what ON CONFLICT looks at. */
  readonly deferrable: boolean;
};

const uniqueSql = /* sql */ `
  select n.nspname as schema, c.relname as name,
         coalesce(bool_or(i.indimmediate and i.indisvalid and i.indpred is null), false) as unique,
         coalesce(bool_or(not i.indimmediate), false) as deferrable
    from unnest($1::text[], $2::text[]) asked (schema, name)
    join pg_namespace n on n.nspname = asked.schema
    join pg_class c on c.relnamespace = n.oid and c.relname = asked.name
    left join pg_index i on i.indrelid = c.oid and i.indisunique
   group by n.nspname, c.relname`;

/** Tables looked into by one statement. */
const LIST = 200;

/** What the destination has of the tables; those that are not there have no entry. */
export async function readDestinationTables(
  client: Queryable,
  tables: readonly TableName[],
): Promise<Map<string, DestinationTable>> {
  const { rows } = await client.query<Named & { unique: boolean; deferrable: boolean }>(
    uniqueSql,
    arrays(tables),
  );
  const found = new Map<string, DestinationTable>();
  for (let n = 0; n < rows.length; n += LIST) {
    const part = rows.slice(n, n + LIST);
    const looks = part.map(
      (t, place) =>
        /* sql */ `select ${place} as place, exists (select from ${qualified(t.schema, t.name)}) as filled`,
    );
    const filled = await client.query<{ place: number; filled: boolean }>(looks.join(' union all '));
    for (const { place, filled: has } of filled.rows) {
      const { unique, deferrable, ...name } = part[place]!;
      found.set(keyOfTable(name), { filled: has, unique, deferrable });
    }
  }
  return found;
}

/**
 * Columns that both have and neither computes; `there` is a column's name on the destination. Throws for columns that
 * the destination lacks, unless `shared`.
 */
export function sharedColumns<C extends CopyColumn & { readonly there: string }>(
  target: TableName,
  source: readonly C[],
  destination: readonly CopyColumn[],
  shared: boolean,
): C[] {
  const there = new Map(destination.map((c) => [c.name, c]));
  const missing = source.filter((c) => !c.generated && !there.has(c.there));
  if (missing.length > 0 && !shared)
    throw new PgtwinError('column-missing', {
      detail: `${target.schema}.${target.name} on the destination lacks: ${missing.map((c) => c.there).join(', ')}.`,
    });
  return source.filter((c) => !c.generated && there.get(c.there)?.generated === false);
}
