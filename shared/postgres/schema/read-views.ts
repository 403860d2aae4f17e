import { type Queryable, readRows } from '../rows.ts';
import type { ObjectName, ViewModel } from './model.ts';

/** A view that reads a selected relation, directly or through other views, with all relations that it reads. */
type ViewReads = ObjectName & { oid: string; reads: string[]; system: boolean };

const viewsAboveSql = /* sql */ `
with recursive edge as (
  select distinct w.ev_class as view, d.refobjid as relation
  from pg_rewrite w
  join pg_class v on v.oid = w.ev_class and v.relkind in ('v', 'm')
  join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
  join pg_class r on d.refclassid = 'pg_class'::regclass and r.oid = d.refobjid and r.relkind in ('r', 'p', 'f', 'v', 'm')
  where d.refobjid <> w.ev_class and r.oid >= 16384
),
above (view) as (
  select view from edge where relation = any ($1::oid[])
  union select e.view from edge e join above a on e.relation = a.view
)
select c.oid, n.nspname as schema, c.relname as name,
  array(select e.relation from edge e where e.view = c.oid) as reads,
  exists (select from pg_depend x where x.classid = 'pg_class'::regclass and x.objid = c.oid and x.deptype = 'e')
    as system
from above a join pg_class c on c.oid = a.view join pg_namespace n on n.oid = c.relnamespace
where n.nspname <> 'pgtwin'
order by n.nspname, c.relname`;

/** The views that can be made from the tables alone, and the names of those that read other relations as well. */
export async function readViewsAbove(
  db: Queryable,
  tables: readonly string[],
): Promise<{ complete: string[]; partial: ObjectName[] }> {
  const views = (await readRows<ViewReads>(db, viewsAboveSql, [tables])).filter((row) => !row.system);
  const known = new Set(tables);
  for (let before = -1; before < known.size; ) {
    before = known.size;
    for (const view of views) if (view.reads.every((each) => known.has(each))) known.add(view.oid);
  }
  return {
    complete: views.filter((view) => known.has(view.oid)).map((view) => view.oid),
    partial: views
      .filter((view) => !known.has(view.oid))
      .map(({ schema, name: viewName }) => ({ schema, name: viewName })),
  };
}

const viewsSql = /* sql */ `
select c.oid, jsonb_build_object('kind', 'view', 'schema', n.nspname, 'name', c.relname,
  'materialized', c.relkind = 'm', 'populated', c.relispopulated, 'options', coalesce(to_jsonb(c.reloptions), '[]'),
  'definition', pg_get_viewdef(c.oid), 'comment', obj_description(c.oid, 'pg_class'),
  'columnComments', coalesce((
    select jsonb_agg(jsonb_build_object('name', a.attname, 'comment', col_description(c.oid, a.attnum)) order by a.attnum)
    from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and col_description(c.oid, a.attnum) is not null),
    '[]')) as model,
  exists (select from pg_rewrite w where w.ev_class = c.oid and w.rulename <> '_RETURN') as rules,
  exists (select from pg_attrdef d where d.adrelid = c.oid) as defaults,
  array(select w.oid from pg_rewrite w where w.ev_class = c.oid) as rewrites
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.oid = any ($1::oid[]) and c.relkind in ('v', 'm') order by n.nspname, c.relname`;

export type ViewRow = {
  readonly oid: string;
  readonly model: Omit<ViewModel, 'indexes' | 'triggers'>;
  readonly rules: boolean;
  readonly defaults: boolean;
  readonly rewrites: string[];
};

export const readViews = (db: Queryable, oids: string[]): Promise<ViewRow[]> =>
  readRows(db, viewsSql, [oids]);
