import type { TableName } from './catalog.ts';
import type { Queryable } from './connect.ts';

/** A foreign key; `columns` and `parentColumns` belong together one by one. */
export type ForeignKey = {
  readonly child: TableName;
  readonly columns: readonly string[];
  readonly parent: TableName;
  readonly parentColumns: readonly string[];
};

// Of a partition's inherited constraints only those of the tables that are asked for.
const readSql = /* sql */ `
  with asked as (
    select c.oid from unnest($1::text[], $2::text[]) t(schema, name)
      join pg_catalog.pg_namespace n on n.nspname = t.schema
      join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.name)
  select jsonb_build_object('schema', cn.nspname, 'name', c.relname) as child,
         jsonb_build_object('schema', pn.nspname, 'name', p.relname) as parent,
         array(select a.attname from unnest(k.conkey) with ordinality u(n, at)
                 join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.n order by at)::text[] as columns,
         array(select a.attname from unnest(k.confkey) with ordinality u(n, at)
                 join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.n order by at)::text[]
           as "parentColumns"
    from pg_catalog.pg_constraint k
    join pg_catalog.pg_class c on c.oid = k.conrelid join pg_catalog.pg_namespace cn on cn.oid = c.relnamespace
    join pg_catalog.pg_class p on p.oid = k.confrelid join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
   where k.contype = 'f'
     and (k.conrelid in (select oid from asked) or k.confrelid in (select oid from asked) and not c.relispartition)
   order by k.conname collate "C", k.oid`;

/** The foreign keys of which one of the tables is child or parent. */
export async function readForeignKeys(
  client: Queryable,
  tables: readonly TableName[],
): Promise<ForeignKey[]> {
  const { rows } = await client.query<ForeignKey>(readSql, [
    tables.map(({ schema }) => schema),
    tables.map(({ name }) => name),
  ]);
  return rows;
}

/** A foreign key as one text, the same for the same one on both sides: what is stored of the source's. */
export const signatureOf = ({ columns, parent, parentColumns }: ForeignKey): string =>
  JSON.stringify([columns, parent.schema, parent.name, parentColumns]);
