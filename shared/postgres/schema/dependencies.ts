import { type Queryable, readRows } from '../rows.ts';

/** One object of the catalogue, `pg_class:16385`, as a node of the dependency graph. */
export type NodeId = string;
export type Node = {
  readonly id: NodeId;
  readonly catalogue: string;
  readonly oid: string;
  /** As pg_identify_object gives them; schema is '' where there is none. */
  readonly type: string;
  readonly schema: string;
  readonly name: string;
  readonly identity: string;
  readonly extension: boolean;
  /** Made together with another object: array and row types, constructors of ranges. */
  readonly made: boolean;
  readonly relkind: string | null;
  readonly needs: NodeId[];
};
export type Graph = ReadonlyMap<NodeId, Node>;

export const nodeId = (catalogue: string, oid: string): NodeId => `${catalogue}:${oid}`;

/**
 * All that the relations and their defaults, constraints, indexes, triggers, policies, rules and statistics depend
 * on. The walk stops at objects made by initdb and does not look into relations that are not among them. A sequence's
 * edge to its owner is left out (the owner's default needs the sequence), and a foreign key's to the other table. Added
 * are those from a domain to its checks and from a composite type to its attributes, which depend the other way round.
 */
const walkSql = /* sql */ `
with recursive relation as (select unnest($1::oid[]) as oid),
seed (classid, objid) as (
  select 'pg_class'::regclass::oid, oid from relation
  union all select 'pg_attrdef'::regclass, d.oid from pg_attrdef d join relation r on d.adrelid = r.oid
  union all select 'pg_constraint'::regclass, k.oid from pg_constraint k join relation r on k.conrelid = r.oid
    where k.contype not in ('f', 't', 'n')
  union all select 'pg_class'::regclass, i.indexrelid from pg_index i join relation r on i.indrelid = r.oid
  union all select 'pg_trigger'::regclass, t.oid from pg_trigger t join relation r on t.tgrelid = r.oid
    where not t.tgisinternal and t.tgparentid = 0
  union all select 'pg_policy'::regclass, p.oid from pg_policy p join relation r on p.polrelid = r.oid
  union all select 'pg_rewrite'::regclass, w.oid from pg_rewrite w join relation r on w.ev_class = r.oid
  union all select 'pg_statistic_ext'::regclass, s.oid from pg_statistic_ext s join relation r on s.stxrelid = r.oid
  union all select 'pg_class'::regclass, d.objid from pg_depend d join relation r on d.refobjid = r.oid
    join pg_class s on s.oid = d.objid and s.relkind = 'S'
    where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
  union all select split_part(x, ':', 1)::regclass, split_part(x, ':', 2)::oid from unnest($2::text[]) x
),
walk (classid, objid) as (
  select classid, objid from seed
  union
  select e.classid, e.objid from walk w
  left join pg_class wc on w.classid = 'pg_class'::regclass and wc.oid = w.objid
  cross join lateral (
    select d.refclassid, d.refobjid from pg_depend d
    where d.classid = w.classid and d.objid = w.objid and d.refobjid >= 16384
      and not (wc.relkind is not distinct from 'S' and d.deptype in ('a', 'i') and d.refobjsubid > 0)
    union all
    select 'pg_constraint'::regclass, k.oid from pg_constraint k
    where w.classid = 'pg_type'::regclass and k.contypid = w.objid and k.contype = 'c'
    union all
    select 'pg_class'::regclass, t.typrelid from pg_type t join pg_class tc on tc.oid = t.typrelid
    where w.classid = 'pg_type'::regclass and t.oid = w.objid and tc.relkind = 'c'
  ) e (classid, objid)
  where wc.relkind is null or wc.relkind not in ('r', 'p', 'f', 'v', 'm') or wc.oid in (select oid from relation)
)
select w.classid::regclass::text as catalogue, w.objid as oid, o.type, coalesce(o.schema, '') as schema,
  coalesce(o.name, '') as name, o.identity, c.relkind::text as relkind,
  exists (select from pg_depend x where x.classid = w.classid and x.objid = w.objid and x.deptype = 'e') as extension,
  exists (select from pg_depend x where x.classid = w.classid and x.objid = w.objid and x.deptype = 'i') as made,
  array(
    select d.refclassid::regclass::text || ':' || d.refobjid from pg_depend d
    where d.classid = w.classid and d.objid = w.objid and d.refobjid >= 16384
      and not (c.relkind is not distinct from 'S' and d.deptype in ('a', 'i') and d.refobjsubid > 0)
    union all select 'pg_constraint:' || k.oid from pg_constraint k
    where w.classid = 'pg_type'::regclass and k.contypid = w.objid and k.contype = 'c'
    union all select 'pg_class:' || t.typrelid from pg_type t join pg_class tc on tc.oid = t.typrelid
    where w.classid = 'pg_type'::regclass and t.oid = w.objid and tc.relkind = 'c'
  ) as needs
from walk w
left join pg_class c on w.classid = 'pg_class'::regclass and c.oid = w.objid
cross join lateral pg_identify_object(w.classid, w.objid, 0) o`;

/** The dependency graph around the relations and around the further nodes. */
export async function readDependencies(
  db: Queryable,
  relations: readonly string[],
  further: readonly NodeId[],
): Promise<Graph> {
  const rows = await readRows<Omit<Node, 'id'>>(db, walkSql, [relations, further]);
  return new Map(
    rows.map((row): [NodeId, Node] => {
      const id = nodeId(row.catalogue, row.oid);
      return [id, { ...row, id }];
    }),
  );
}

const isRelation = (node: Node): boolean => node.relkind !== null && 'rpfvm'.includes(node.relkind);

/** Whether a function that the node needs, directly or not, needs a relation. Its own table does not count. */
export function needsRelationByFunction(graph: Graph, start: NodeId): boolean {
  const seen = new Set<NodeId>();
  const visit = (id: NodeId, viaFunction: boolean): boolean => {
    const node = graph.get(id);
    if (!node || node.extension) return false;
    if (isRelation(node)) return viaFunction;
    const mark = `${id}${viaFunction}`;
    if (seen.has(mark)) return false;
    seen.add(mark);
    return node.needs.some((next) => visit(next, viaFunction || node.catalogue === 'pg_proc'));
  };
  return visit(start, false);
}

/** Sorts objects so that each comes after what it needs; among equals the order given stays. */
export function inOrderOfNeed<T>(
  graph: Graph,
  objects: ReadonlyMap<NodeId, T>,
  extraNeeds: ReadonlyMap<NodeId, readonly NodeId[]>,
): T[] {
  const ordered: T[] = [];
  const seen = new Set<NodeId>();
  const visit = (id: NodeId): void => {
    if (seen.has(id)) return;
    seen.add(id);
    for (const next of extraNeeds.get(id) ?? []) visit(next);
    for (const next of graph.get(id)?.needs ?? []) visit(next);
    const object = objects.get(id);
    if (object) ordered.push(object);
  };
  for (const id of objects.keys()) visit(id);
  return ordered;
}
