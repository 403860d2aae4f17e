import type { TableName } from './catalog.ts';
import type { Queryable } from './connect.ts';

/** What one database says of tables whose rows may go by their keys. */
export type ShardFacts = {
  /** Why rows of a table can not: by the table. */
  readonly reasons: ReadonlyMap<string, string>;
  /** The columns of primary keys with their types, in order of name, by the table: what is hashed. */
  readonly keys: ReadonlyMap<string, string>;
  /** Tables of which one refers to the other. */
  readonly references: readonly (readonly [TableName, TableName])[];
};

export const idOf = ({ schema, name }: TableName): string => JSON.stringify([schema, name]);

/** Types whose equal values are always printed alike. */
const keyTypes = [
  ...['int2', 'int4', 'int8', 'uuid', 'bool', 'date', 'timestamp', 'timestamptz', 'text', 'varchar'],
];

/** The reason of a table whose key may yet be built: behind its rows, when a copy has made it. */
export const noPrimaryKey = 'it has no primary key';

// Without those that are only included.
const keyOf = (index: string): string => `(${index}.indkey::int2[])[0:${index}.indnkeyatts - 1]`;

// Tables, and each with its partitions.
const withParts = /* sql */ `
  with asked as (
    select c.oid, t.schema, t.name, c.relkind
      from unnest($1::text[], $2::text[]) t(schema, name)
      join pg_catalog.pg_namespace n on n.nspname = t.schema
      join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.name),
  parts as (
    select oid, oid as part from asked
    union
    select a.oid, p.relid from asked a, pg_catalog.pg_partition_tree(a.oid) p)`;

// A unique index beside the key, also of a partition alone, would have to see rows of other shards.
const reasonsSql = /* sql */ `${withParts}
  select schema, name,
         case
           when relkind not in ('r', 'p') then 'it is no ordinary table'
           when exists (select from parts p join pg_catalog.pg_class c on c.oid = p.part
                         where p.oid = a.oid and c.relreplident not in ('d', 'f'))
             then 'its replica identity is neither the primary key nor FULL'
           when exists (select from parts p join pg_catalog.pg_index i on i.indrelid = p.part
                         where p.oid = a.oid and (i.indisunique or i.indisexclusion) and not i.indisprimary)
             then 'it has a unique index or exclusion constraint beside its primary key'
           when exists (select from parts p join pg_catalog.pg_constraint k on p.part in (k.conrelid, k.confrelid)
                         where p.oid = a.oid and k.contype = 'f')
             then 'a foreign key goes from or to it'
           when not exists (select from pg_catalog.pg_index i where i.indrelid = a.oid and i.indisprimary)
             then '${noPrimaryKey}'
           when exists (select from pg_catalog.pg_index i
                         where i.indrelid = a.oid and i.indisprimary and not i.indimmediate)
             then 'its primary key is deferrable'
           when exists (select from pg_catalog.pg_index i
                          join pg_catalog.pg_attribute c on c.attrelid = i.indrelid and c.attnum = any (${keyOf('i')})
                          join pg_catalog.pg_type y on y.oid = c.atttypid
                          left join pg_catalog.pg_collation l on l.oid = c.attcollation
                         where i.indrelid = a.oid and i.indisprimary
                           and (y.typnamespace <> 'pg_catalog'::regnamespace or not y.typname = any ($3)
                                or l.collisdeterministic is false or c.attgenerated <> ''))
             then 'equal values of its key may be printed in different ways, or are generated'
         end as reason,
         (select string_agg(c.attname || ' ' || y.typname, ', ' order by c.attname collate "C")
            from pg_catalog.pg_index i
            join pg_catalog.pg_attribute c on c.attrelid = i.indrelid and c.attnum = any (${keyOf('i')})
            join pg_catalog.pg_type y on y.oid = c.atttypid
           where i.indrelid = a.oid and i.indisprimary) as key
    from asked a`;

// Also those of partitions alone.
const referencesSql = /* sql */ `${withParts}
  select distinct array[c.schema, c.name] as child, array[r.schema, r.name] as parent
    from pg_catalog.pg_constraint k
    join parts cp on cp.part = k.conrelid join asked c on c.oid = cp.oid
    join parts rp on rp.part = k.confrelid join asked r on r.oid = rp.oid
   where k.contype = 'f' and c.oid <> r.oid`;

/** Tables that are not there have no reason. */
export async function readShardFacts(client: Queryable, tables: readonly TableName[]): Promise<ShardFacts> {
  const names = [tables.map(({ schema }) => schema), tables.map(({ name }) => name)];
  const { rows } = await client.query<TableName & { reason: string | null; key: string | null }>(reasonsSql, [
    ...names,
    keyTypes,
  ]);
  type Pair = Record<'child' | 'parent', [string, string]>;
  const { rows: pairs } = await client.query<Pair>(referencesSql, names);
  const named = ([schema, name]: [string, string]): TableName => ({ schema, name });
  return {
    reasons: new Map(rows.flatMap((row) => (row.reason === null ? [] : [[idOf(row), row.reason]]))),
    keys: new Map(rows.flatMap((row) => (row.key === null ? [] : [[idOf(row), row.key]]))),
    references: pairs.map(({ child, parent }) => [named(child), named(parent)]),
  };
}
