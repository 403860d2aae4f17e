import { type Queryable, readRows } from '../rows.ts';
import type {
  CollationModel,
  ExtensionModel,
  FunctionModel,
  NamespaceModel,
  SequenceModel,
  TypeModel,
} from './model.ts';

/** What a query answered, by the object's oid. */
export type ByOid<T> = Map<string, T>;

type Row<T> = { readonly oid: string; readonly model: T };
const byOid = <T>(rows: readonly Row<T>[]): ByOid<T> => new Map(rows.map(({ oid, model }) => [oid, model]));

const collationOf = (oid: string) => /* sql */ `(
  select jsonb_build_object('schema', cn.nspname, 'name', co.collname)
  from pg_collation co join pg_namespace cn on cn.oid = co.collnamespace where co.oid = ${oid})`;

const extensionsSql = /* sql */ `
select e.oid, jsonb_build_object('kind', 'extension', 'schema', n.nspname, 'name', e.extname,
  'version', e.extversion, 'comment', obj_description(e.oid, 'pg_extension')) as model
from pg_extension e join pg_namespace n on n.oid = e.extnamespace
where e.oid = any ($1::oid[]) order by e.extname`;

export const readExtensions = async (db: Queryable, oids: string[]): Promise<ByOid<ExtensionModel>> =>
  byOid(await readRows(db, extensionsSql, [oids]));

const namespacesSql = /* sql */ `
select n.oid, jsonb_build_object('kind', 'schema', 'schema', n.nspname, 'name', n.nspname,
  'comment', obj_description(n.oid, 'pg_namespace')) as model
from pg_namespace n where n.oid = any ($1::oid[]) or (n.nspname = any ($2::text[])
  and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')) order by n.nspname`;

export const readNamespaces = async (
  db: Queryable,
  oids: string[],
  names: string[],
): Promise<ByOid<NamespaceModel>> => byOid(await readRows(db, namespacesSql, [oids, names]));

// The locale's column has another name on 15 and 16, 16 added rules: read through jsonb, which knows no columns.
const collationsSql = /* sql */ `
select c.oid, jsonb_build_object('kind', 'collation', 'schema', n.nspname, 'name', c.collname,
  'provider', case c.collprovider when 'c' then 'libc' when 'i' then 'icu' when 'b' then 'builtin' else 'default' end,
  'locale', coalesce(j ->> 'colllocale', j ->> 'colliculocale', c.collcollate),
  'ctype', c.collctype, 'deterministic', c.collisdeterministic, 'rules', j ->> 'collicurules',
  'comment', obj_description(c.oid, 'pg_collation')) as model
from pg_collation c join pg_namespace n on n.oid = c.collnamespace cross join lateral to_jsonb(c) j
where c.oid = any ($1::oid[]) order by n.nspname, c.collname`;

export const readCollations = async (db: Queryable, oids: string[]): Promise<ByOid<CollationModel>> =>
  byOid(await readRows(db, collationsSql, [oids]));

const typesSql = /* sql */ `
select t.oid, jsonb_build_object('kind', 'type', 'schema', n.nspname, 'name', t.typname,
  'comment', obj_description(t.oid, 'pg_type'))
|| case t.typtype
  when 'e' then jsonb_build_object('form', 'enum', 'labels', (
    select jsonb_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid))
  when 'd' then jsonb_build_object('form', 'domain', 'base', format_type(t.typbasetype, t.typtypmod),
    'collation', case when t.typcollation <> b.typcollation then ${collationOf('t.typcollation')} end,
    'notNull', t.typnotnull, 'default', pg_get_expr(t.typdefaultbin, 0),
    'constraints', coalesce((
      select jsonb_agg(jsonb_build_object('name', k.conname, 'definition', pg_get_constraintdef(k.oid),
        'comment', obj_description(k.oid, 'pg_constraint')) order by k.conname)
      from pg_constraint k where k.contypid = t.oid and k.contype = 'c'), '[]'))
  when 'c' then jsonb_build_object('form', 'composite', 'attributes', coalesce((
    select jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
      'collation', case when a.attcollation <> at.typcollation then ${collationOf('a.attcollation')} end,
      'comment', col_description(a.attrelid, a.attnum)) order by a.attnum)
    from pg_attribute a join pg_type at on at.oid = a.atttypid
    where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped), '[]'))
  else jsonb_build_object('form', 'range', 'subtype', format_type(r.rngsubtype, null),
    'operatorClass', (
      select jsonb_build_object('schema', opn.nspname, 'name', op.opcname) from pg_opclass op
      join pg_namespace opn on opn.oid = op.opcnamespace where op.oid = r.rngsubopc and not op.opcdefault),
    'collation', case when r.rngcollation <> rs.typcollation then ${collationOf('r.rngcollation')} end,
    'subtypeDiff', (
      select jsonb_build_object('schema', dn.nspname, 'name', d.proname) from pg_proc d
      join pg_namespace dn on dn.oid = d.pronamespace where d.oid = r.rngsubdiff),
    'multirange', (
      select jsonb_build_object('schema', mn.nspname, 'name', m.typname) from pg_type m
      join pg_namespace mn on mn.oid = m.typnamespace where m.oid = r.rngmultitypid))
  end as model,
  coalesce(r.rngcanonical, 0) <> 0 as canonical
from pg_type t
join pg_namespace n on n.oid = t.typnamespace
left join pg_type b on b.oid = t.typbasetype
left join pg_range r on r.rngtypid = t.oid
left join pg_type rs on rs.oid = r.rngsubtype
left join pg_class rc on rc.oid = t.typrelid
where t.oid = any ($1::oid[]) and (t.typtype in ('e', 'd', 'r') or (t.typtype = 'c' and rc.relkind = 'c'))
order by n.nspname, t.typname`;

/** Enums, domains, composite and range types; `canonical` has the ranges whose function needs a shell type. */
export async function readTypes(
  db: Queryable,
  oids: string[],
): Promise<{ types: ByOid<TypeModel>; canonical: string[] }> {
  const rows = await readRows<Row<TypeModel> & { canonical: boolean }>(db, typesSql, [oids]);
  return { types: byOid(rows), canonical: rows.filter((row) => row.canonical).map((row) => row.oid) };
}

const sequencesSql = /* sql */ `
select c.oid, jsonb_build_object('kind', 'sequence', 'schema', n.nspname, 'name', c.relname,
  'type', format_type(s.seqtypid, null), 'start', s.seqstart::text, 'increment', s.seqincrement::text,
  'min', s.seqmin::text, 'max', s.seqmax::text, 'cache', s.seqcache::text, 'cycle', s.seqcycle,
  'unlogged', c.relpersistence = 'u', 'comment', obj_description(c.oid, 'pg_class'),
  'ownedBy', case when d.deptype = 'a'
    then jsonb_build_object('schema', tn.nspname, 'name', tc.relname, 'column', a.attname) end) as model,
  case when d.deptype = 'i' then tc.oid || '.' || a.attnum end as identity_of
from pg_sequence s
join pg_class c on c.oid = s.seqrelid
join pg_namespace n on n.oid = c.relnamespace
left join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = c.oid
  and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i') and d.refobjsubid > 0
left join pg_class tc on tc.oid = d.refobjid
left join pg_namespace tn on tn.oid = tc.relnamespace
left join pg_attribute a on a.attrelid = tc.oid and a.attnum = d.refobjsubid
where c.oid = any ($1::oid[]) order by n.nspname, c.relname`;

/** Sequences; those of identity columns apart, by `table oid.column number`. */
export async function readSequences(
  db: Queryable,
  oids: string[],
): Promise<{ sequences: ByOid<SequenceModel>; identities: Map<string, SequenceModel> }> {
  const rows = await readRows<Row<SequenceModel> & { identity_of: string | null }>(db, sequencesSql, [oids]);
  return {
    sequences: byOid(rows.filter((row) => !row.identity_of)),
    identities: new Map(
      rows.flatMap((row) => (row.identity_of ? [[row.identity_of, row.model] as const] : [])),
    ),
  };
}

const functionsSql = /* sql */ `
select p.oid, jsonb_build_object('kind', 'function', 'schema', n.nspname, 'name', p.proname,
  'procedure', p.prokind = 'p', 'arguments', pg_get_function_identity_arguments(p.oid),
  'definition', pg_get_functiondef(p.oid), 'opaque', p.prosqlbody is null,
  'comment', obj_description(p.oid, 'pg_proc')) as model
from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
where p.oid = any ($1::oid[]) and p.prokind in ('f', 'p', 'w') and l.lanname not in ('c', 'internal')
order by n.nspname, p.proname, 2`;

/** Functions and procedures with a source text; those of C are left out. */
export const readFunctions = async (db: Queryable, oids: string[]): Promise<ByOid<FunctionModel>> =>
  byOid(await readRows(db, functionsSql, [oids]));
