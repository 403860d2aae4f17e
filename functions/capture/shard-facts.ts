import type { TableName } from '../../shared/postgres/catalog.ts';
import type { Queryable } from '../../shared/postgres/connect.ts';
import { readForeignKeys } from '../../shared/postgres/foreign-keys.ts';

/** What one database says of tables whose rows may go by their keys. */
export type ShardFacts = {
  /** Why rows of a table can not: by the table. */
  readonly reasons: ReadonlyMap<string, string>;
  /** Tables of which one refers to the other. */
  readonly references: readonly (readonly [TableName, TableName])[];
};

export const idOf = ({ schema, name }: TableName): string => JSON.stringify([schema, name]);

/** Types whose equal values are always printed alike. */
const keyTypes = [
  ...['int2', 'int4', 'int8', 'uuid', 'bool', 'date', 'timestamp', 'timestamptz', 'text', 'varchar'],
];

// A unique index beside the key, also of a partition alone, would have to see rows of other shards.
const reasonsSql = /* sql */ `
  with asked as (
    select c.oid, t.schema, t.name, c.relkind, c.relreplident
      from unnest($1::text[], $2::text[]) t(schema, name)
      join pg_catalog.pg_namespace n on n.nspname = t.schema
      join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.name),
  parts as (
    select oid, oid as part from asked
    union
    select a.oid, p.relid from asked a, pg_catalog.pg_partition_tree(a.oid) p)
  select schema, name,
         case
           when relkind not in ('r', 'p') then 'it is no ordinary table'
           when relreplident not in ('d', 'f') then 'its replica identity is neither the primary key nor FULL'
           when not exists (select from pg_catalog.pg_index i where i.indrelid = a.oid and i.indisprimary)
             then 'it has no primary key'
           when exists (select from parts p join pg_catalog.pg_index i on i.indrelid = p.part
                         where p.oid = a.oid and (i.indisunique or i.indisexclusion) and not i.indisprimary)
             then 'it has a unique index or exclusion constraint beside its primary key'
           when exists (select from parts p join pg_catalog.pg_constraint k on p.part in (k.conrelid, k.confrelid)
                         where p.oid = a.oid and k.contype = 'f')
             then 'a foreign key goes from or to it'
           when exists (select from pg_catalog.pg_index i
                          join pg_catalog.pg_attribute c on c.attrelid = i.indrelid and c.attnum = any (i.indkey::int2[])
                          join pg_catalog.pg_type y on y.oid = c.atttypid
                          left join pg_catalog.pg_collation l on l.oid = c.attcollation
                         where i.indrelid = a.oid and i.indisprimary
                           and (y.typnamespace <> 'pg_catalog'::regnamespace or not y.typname = any ($3)
                                or l.collisdeterministic is false or c.attgenerated <> ''))
             then 'equal values of its key may be printed in different ways, or are generated'
         end as reason
    from asked a`;

/** Tables that are not there have no reason. */
export async function readShardFacts(client: Queryable, tables: readonly TableName[]): Promise<ShardFacts> {
  const { rows } = await client.query<TableName & { reason: string | null }>(reasonsSql, [
    tables.map(({ schema }) => schema),
    tables.map(({ name }) => name),
    keyTypes,
  ]);
  const keys = await readForeignKeys(client, tables);
  return {
    reasons: new Map(rows.flatMap((row) => (row.reason === null ? [] : [[idOf(row), row.reason]]))),
    references: keys.map(({ child, parent }) => [child, parent]),
  };
}
