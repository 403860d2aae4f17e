import { type Queryable, readRows } from '../rows.ts';
import type {
  ColumnModel,
  ConstraintModel,
  IndexModel,
  PolicyModel,
  StatisticsModel,
  TableModel,
  TriggerModel,
} from './model.ts';

/** Rows of a detail query, grouped by the relation that they belong to. */
type Grouped<T> = Map<string, T[]>;

async function readGrouped<T>(db: Queryable, sql: string, oids: string[]): Promise<Grouped<T>> {
  const rows = await readRows<{ relation: string; model: object }>(db, sql, [oids]);
  const grouped: Grouped<T> = new Map();
  for (const { relation, model, ...rest } of rows) {
    const list = grouped.get(relation);
    const item = { ...model, ...rest } as T;
    if (list) list.push(item);
    else grouped.set(relation, [item]);
  }
  return grouped;
}

const name = (schema: string, object: string) =>
  /* sql */ `jsonb_build_object('schema', ${schema}, 'name', ${object})`;

const tablesSql = /* sql */ `
select c.oid as relation, jsonb_build_object('kind', 'table', 'schema', n.nspname, 'name', c.relname,
  'form', case c.relkind when 'r' then 'ordinary' when 'p' then 'partitioned' else 'foreign' end,
  'unlogged', c.relpersistence = 'u', 'options', coalesce(to_jsonb(c.reloptions), '[]'),
  'toastOptions', coalesce(to_jsonb(tc.reloptions), '[]'),
  'inherits', coalesce((
    select jsonb_agg(${name('pn.nspname', 'p.relname')} order by i.inhseqno)
    from pg_inherits i join pg_class p on p.oid = i.inhparent join pg_namespace pn on pn.oid = p.relnamespace
    where i.inhrelid = c.oid and not c.relispartition), '[]'),
  'partitionOf', (
    select ${name('pn.nspname', 'p.relname')}
      || jsonb_build_object('bound', pg_get_expr(c.relpartbound, c.oid))
    from pg_inherits i join pg_class p on p.oid = i.inhparent join pg_namespace pn on pn.oid = p.relnamespace
    where i.inhrelid = c.oid and c.relispartition),
  'partitionBy', pg_get_partkeydef(c.oid), 'rowSecurity', c.relrowsecurity,
  'forceRowSecurity', c.relforcerowsecurity,
  'replicaIdentity', case c.relreplident when 'd' then to_jsonb('default'::text) when 'n' then to_jsonb('nothing'::text)
    when 'f' then to_jsonb('full'::text) else (
      select jsonb_build_object('index', ic.relname) from pg_index x join pg_class ic on ic.oid = x.indexrelid
      where x.indrelid = c.oid and x.indisreplident) end,
  'clusteredOn', (select ic.relname from pg_index x join pg_class ic on ic.oid = x.indexrelid
    where x.indrelid = c.oid and x.indisclustered),
  'comment', obj_description(c.oid, 'pg_class')) as model,
  c.reloftype <> 0 as "ofType", c.reltablespace <> 0 as "tablespace",
  (select am.amname from pg_am am where am.oid = c.relam) as "accessMethod",
  exists (select from pg_rewrite w where w.ev_class = c.oid) as "rules"
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_class tc on tc.oid = c.reltoastrelid
where c.oid = any ($1::oid[]) and c.relkind in ('r', 'p', 'f')
order by n.nspname, c.relname`;

/** A table and what the model has no place for. */
export type TableRow = Omit<
  TableModel,
  'columns' | 'constraints' | 'indexes' | 'triggers' | 'policies' | 'statistics'
> & {
  readonly ofType: boolean;
  readonly tablespace: boolean;
  readonly accessMethod: string | null;
  readonly rules: boolean;
};

export const readTables = (db: Queryable, oids: string[]): Promise<Grouped<TableRow>> =>
  readGrouped(db, tablesSql, oids);

// Not-null constraints have a name since 18, elsewhere `k` is empty. The server's own name is not worth keeping.
const columnsSql = /* sql */ `
select a.attrelid as relation, jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
  'collation', case when a.attcollation <> t.typcollation then (
    select ${name('cn.nspname', 'co.collname')} from pg_collation co
    join pg_namespace cn on cn.oid = co.collnamespace where co.oid = a.attcollation) end,
  'notNull', a.attnotnull,
  'notNullConstraint', case when k.oid is not null then jsonb_build_object(
    'name', nullif(k.conname, left(c.relname || '_' || a.attname || '_not_null', 63)),
    'noInherit', k.connoinherit, 'validated', k.convalidated, 'local', k.conislocal) end,
  'default', pg_get_expr(d.adbin, d.adrelid), 'defaultLate', false,
  'generated', case a.attgenerated when 's' then 'stored' when 'v' then 'virtual' end,
  'identity', case a.attidentity when 'a' then 'always' when 'd' then 'by default' end, 'identitySequence', null,
  'storage', case when a.attstorage <> t.typstorage then
    case a.attstorage when 'p' then 'plain' when 'e' then 'external' when 'm' then 'main' else 'extended' end end,
  'compression', case a.attcompression when 'p' then 'pglz' when 'l' then 'lz4' end,
  'statistics', nullif(a.attstattarget, -1), 'options', coalesce(to_jsonb(a.attoptions), '[]'),
  'local', a.attislocal, 'comment', col_description(a.attrelid, a.attnum)) as model,
  a.attnum as "number", d.oid as "defaultOid"
from pg_attribute a
join pg_class c on c.oid = a.attrelid
join pg_type t on t.oid = a.atttypid
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
left join pg_constraint k on k.conrelid = a.attrelid and k.contype = 'n' and k.conkey = array[a.attnum]
where a.attrelid = any ($1::oid[]) and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum`;

export type ColumnRow = ColumnModel & { readonly number: number; readonly defaultOid: string | null };

export const readColumns = (db: Queryable, oids: string[]): Promise<Grouped<ColumnRow>> =>
  readGrouped(db, columnsSql, oids);

const parentIndex = (oid: string) => /* sql */ `(
  select pc.relname from pg_inherits h join pg_class pc on pc.oid = h.inhparent where h.inhrelid = ${oid})`;

// Foreign keys of partitions that come from their parent's have a conparentid; so have the helper rows that a
// key to a partitioned table makes.
const constraintsSql = /* sql */ `
select k.conrelid as relation, jsonb_build_object('name', k.conname,
  'type', case k.contype when 'p' then 'primary' when 'u' then 'unique' when 'c' then 'check' when 'x' then 'exclude'
    when 'f' then 'foreign' end,
  'definition', pg_get_constraintdef(k.oid),
  'columns', coalesce((
    select jsonb_agg(a.attname order by u.position) from unnest(k.conkey) with ordinality u (number, position)
    join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.number), '[]'),
  'validated', k.convalidated, 'deferrable', k.condeferrable, 'local', k.conislocal,
  'references', case when k.confrelid <> 0 then ${name('fn.nspname', 'f.relname')} end,
  'options', case when k.contype in ('p', 'u', 'x') then coalesce(to_jsonb(ic.reloptions), '[]') else '[]' end,
  'attachedTo', case when k.contype in ('p', 'u', 'x') then ${parentIndex('k.conindid')} end,
  'late', false, 'comment', obj_description(k.oid, 'pg_constraint')) as model, k.oid as "oid"
from pg_constraint k
left join pg_class ic on ic.oid = k.conindid
left join pg_class f on f.oid = k.confrelid
left join pg_namespace fn on fn.oid = f.relnamespace
where k.conrelid = any ($1::oid[]) and k.contype in ('p', 'u', 'c', 'x', 'f')
  and (k.contype <> 'f' or k.conparentid = 0)
order by k.conrelid, k.conname`;

export type ConstraintRow = ConstraintModel & { readonly oid: string };

export const readConstraints = (db: Queryable, oids: string[]): Promise<Grouped<ConstraintRow>> =>
  readGrouped(db, constraintsSql, oids);

// What stands before the access method is put together anew by the plan, so it is cut off here.
const indexesSql = /* sql */ `
select i.indrelid as relation, jsonb_build_object('name', c.relname, 'unique', i.indisunique, 'valid', i.indisvalid,
  'definition', substr(pg_get_indexdef(i.indexrelid), 1 + length(format('CREATE %sINDEX %I ON %s%I.%I USING ',
    case when i.indisunique then 'UNIQUE ' else '' end, c.relname,
    case when t.relkind = 'p' then 'ONLY ' else '' end, n.nspname, t.relname))),
  'attachedTo', ${parentIndex('c.oid')},
  'comment', obj_description(c.oid, 'pg_class')) as model
from pg_index i
join pg_class c on c.oid = i.indexrelid
join pg_class t on t.oid = i.indrelid
join pg_namespace n on n.oid = t.relnamespace
where i.indrelid = any ($1::oid[])
  and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))
order by i.indrelid, c.relname`;

export const readIndexes = (db: Queryable, oids: string[]): Promise<Grouped<IndexModel>> =>
  readGrouped(db, indexesSql, oids);

const triggersSql = /* sql */ `
select t.tgrelid as relation, jsonb_build_object('name', t.tgname, 'definition', pg_get_triggerdef(t.oid),
  'enabled', case t.tgenabled when 'O' then 'origin' when 'R' then 'replica' when 'A' then 'always' else 'disabled' end,
  'comment', obj_description(t.oid, 'pg_trigger')) as model
from pg_trigger t
where t.tgrelid = any ($1::oid[]) and not t.tgisinternal and t.tgparentid = 0
  and not exists (select from pg_proc f join pg_namespace n on n.oid = f.pronamespace
    where f.oid = t.tgfoid and n.nspname = 'pgtwin')
order by t.tgrelid, t.tgname`;

export const readTriggers = (db: Queryable, oids: string[]): Promise<Grouped<TriggerModel>> =>
  readGrouped(db, triggersSql, oids);

const policiesSql = /* sql */ `
select p.polrelid as relation, jsonb_build_object('name', p.polname, 'permissive', p.polpermissive,
  'command', case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete'
    else 'all' end,
  'roles', coalesce((select jsonb_agg(r.rolname order by r.rolname) from pg_roles r where r.oid = any (p.polroles)), '[]'),
  'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid),
  'comment', obj_description(p.oid, 'pg_policy')) as model
from pg_policy p where p.polrelid = any ($1::oid[]) order by p.polrelid, p.polname`;

export const readPolicies = (db: Queryable, oids: string[]): Promise<Grouped<PolicyModel>> =>
  readGrouped(db, policiesSql, oids);

const statisticsSql = /* sql */ `
select s.stxrelid as relation, jsonb_build_object('schema', n.nspname, 'name', s.stxname,
  'definition', pg_get_statisticsobjdef(s.oid), 'target', nullif(s.stxstattarget, -1),
  'comment', obj_description(s.oid, 'pg_statistic_ext')) as model
from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace
where s.stxrelid = any ($1::oid[]) order by s.stxrelid, s.stxname`;

export const readStatistics = (db: Queryable, oids: string[]): Promise<Grouped<StatisticsModel>> =>
  readGrouped(db, statisticsSql, oids);
