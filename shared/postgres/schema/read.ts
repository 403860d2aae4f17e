import { type Queryable, readRows } from '../rows.ts';
import {
  type Graph,
  inOrderOfNeed,
  type NodeId,
  needsRelationByFunction,
  nodeId,
  readDependencies,
} from './dependencies.ts';
import {
  type Finding,
  keyOf,
  type ObjectName,
  objectsOf,
  type SchemaModel,
  type SchemaObject,
  type TableModel,
  type ViewModel,
} from './model.ts';
import {
  readColumns,
  readConstraints,
  readIndexes,
  readPolicies,
  readStatistics,
  readTables,
  readTriggers,
} from './read-tables.ts';
import {
  readCollations,
  readExtensions,
  readFunctions,
  readNamespaces,
  readSequences,
  readTypes,
} from './read-types.ts';
import { readViews, readViewsAbove } from './read-views.ts';
import { foreignKeyFindings, graphFindings, tableFindings, viewFindings } from './unsupported.ts';

// Partitions come with their table. Temporary tables belong to a session.
const selectionSql = /* sql */ `
with recursive asked as (select * from unnest($1::text[], $2::text[]) t (schema, name)),
chosen as (
  select c.oid from asked join pg_namespace n on n.nspname = asked.schema
  join pg_class c on c.relnamespace = n.oid and c.relname = asked.name and c.relkind in ('r', 'p', 'f')
  union
  select i.inhrelid from chosen join pg_inherits i on i.inhparent = chosen.oid
  join pg_class c on c.oid = i.inhrelid and c.relispartition
)
select c.oid, n.nspname as schema, c.relname as name
from chosen join pg_class c on c.oid = chosen.oid join pg_namespace n on n.oid = c.relnamespace`;

/**
 * Reads all that the tables need, and the views that can be made of them alone. Sets search_path to '' meanwhile, so
 * `source` must be one connection. Names that are not there come back as `missing`.
 */
export function readSchema(source: Queryable, tables: readonly ObjectName[]): Promise<SchemaModel> {
  return withEmptySearchPath(source, (version) => readAll(source, tables, [], version));
}

const namedSql = /* sql */ `
with named as (select * from unnest($1::text[], $2::text[], $3::text[]) t (kind, schema, name))
select 'pg_extension:' || e.oid as node from named join pg_extension e on kind = 'extension' and e.extname = name
union all
select 'pg_namespace:' || n.oid from named join pg_namespace n on kind = 'schema' and n.nspname = name
union all
select 'pg_collation:' || c.oid from named join pg_namespace n on n.nspname = schema
join pg_collation c on kind = 'collation' and c.collname = name and c.collnamespace = n.oid
union all
select 'pg_type:' || t.oid from named join pg_namespace n on n.nspname = schema
join pg_type t on kind = 'type' and t.typname = name and t.typnamespace = n.oid
union all
select 'pg_class:' || c.oid from named join pg_namespace n on n.nspname = schema
join pg_class c on kind = 'sequence' and c.relname = name and c.relnamespace = n.oid and c.relkind = 'S'
union all
select 'pg_proc:' || p.oid from named join pg_namespace n on n.nspname = schema
join pg_proc p on kind = 'function' and p.proname = name and p.pronamespace = n.oid`;

/**
 * What the destination has of `wanted` (the source's model, renamed): its tables, and the types, functions, sequences
 * and other objects of those names even where no table uses them yet, as after a crash.
 */
export function readDestination(destination: Queryable, wanted: SchemaModel): Promise<SchemaModel> {
  return withEmptySearchPath(destination, async (version) => {
    const named = wanted.objects.filter((each) => each.kind !== 'table' && each.kind !== 'view');
    const nodes = await readRows<{ node: NodeId }>(destination, namedSql, [
      named.map((each) => each.kind),
      named.map((each) => each.schema),
      named.map((each) => each.name),
    ]);
    return readAll(
      destination,
      objectsOf(wanted, 'table'),
      nodes.map((each) => each.node),
      version,
    );
  });
}

async function withEmptySearchPath<T>(source: Queryable, work: (version: number) => Promise<T>): Promise<T> {
  const [before] = await readRows<{ path: string; jit: string; version: number }>(
    source,
    /* sql */ `select current_setting('search_path') as path, current_setting('jit') as jit,
      current_setting('server_version_num')::int as version`,
  );
  const set = /* sql */ `select set_config('search_path', $1, false), set_config('jit', $2, false)`;
  // Compiling the catalogue queries takes many times longer than running them.
  await source.query(set, ['', 'off']);
  try {
    return await work(before!.version);
  } finally {
    await source.query(set, [before!.path, before!.jit]);
  }
}

async function readAll(
  db: Queryable,
  asked: readonly ObjectName[],
  further: readonly NodeId[],
  serverVersion: number,
): Promise<SchemaModel> {
  const chosen = await readRows<ObjectName & { oid: string }>(db, selectionSql, [
    asked.map((each) => each.schema),
    asked.map((each) => each.name),
  ]);
  const tableOids = chosen.map((each) => each.oid);
  const views = await readViewsAbove(db, tableOids);
  const graph = await readDependencies(db, [...tableOids, ...views.complete], further);

  const objects = new Map<NodeId, SchemaObject>();
  const extraNeeds = new Map<NodeId, NodeId[]>();
  const findings: Finding[] = views.partial.map((view) => ({
    severity: 'note',
    kind: 'view',
    ...view,
    reason: 'reads relations that are not selected, so it is left out',
  }));
  const oidsOf = (catalogue: string) =>
    [...graph.values()]
      .filter((each) => each.catalogue === catalogue && !each.extension)
      .map((each) => each.oid);
  const add = (catalogue: string, found: ReadonlyMap<string, SchemaObject>) => {
    for (const [oid, object] of found) objects.set(nodeId(catalogue, oid), object);
  };

  const extensions = await readExtensions(db, oidsOf('pg_extension'));
  add('pg_extension', extensions);
  const schemas = new Set([...graph.values()].filter((each) => !each.extension).map((each) => each.schema));
  for (const each of extensions.values()) schemas.add(each.schema);
  const namespaces = await readNamespaces(db, oidsOf('pg_namespace'), [...schemas]);
  add('pg_namespace', namespaces);
  add('pg_collation', await readCollations(db, oidsOf('pg_collation')));
  const { types, canonical } = await readTypes(db, oidsOf('pg_type'));
  for (const oid of canonical) {
    const { schema, name } = types.get(oid)!;
    types.delete(oid);
    findings.push({
      severity: 'error',
      kind: 'type',
      schema,
      name,
      reason: 'a range with a canonical function',
    });
  }
  add('pg_type', types);
  const { sequences, identities } = await readSequences(db, oidsOf('pg_class'));
  add('pg_class', sequences);
  add('pg_proc', await readFunctions(db, oidsOf('pg_proc')));

  const found = await readTableModels(db, tableOids, graph, { identities, extraNeeds, findings });
  add('pg_class', found);
  add('pg_class', await readViewModels(db, views.complete, { extraNeeds, findings }));
  findings.push(...graphFindings(graph, objects, new Set([...identities.values()].map(keyOf))));
  findings.push(...foreignKeyFindings([...found.values()]));

  const there = new Set(chosen.map((each) => keyOf(each)));
  return {
    serverVersion,
    objects: inOrderOfNeed(graph, objects, extraNeeds),
    missing: asked.filter((each) => !there.has(keyOf(each))),
    findings: findings.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
  };
}

async function readTableModels(
  db: Queryable,
  oids: string[],
  graph: Graph,
  context: {
    identities: Awaited<ReturnType<typeof readSequences>>['identities'];
    extraNeeds: Map<NodeId, NodeId[]>;
    findings: Finding[];
  },
): Promise<Map<string, TableModel>> {
  const tables = await readTables(db, oids);
  const columns = await readColumns(db, oids);
  const constraints = await readConstraints(db, oids);
  const indexes = await readIndexes(db, oids);
  const triggers = await readTriggers(db, oids);
  const policies = await readPolicies(db, oids);
  const statistics = await readStatistics(db, oids);
  const late = (catalogue: string, oid: string) => needsRelationByFunction(graph, nodeId(catalogue, oid));

  const models = new Map<string, TableModel>();
  for (const [oid, [row]] of tables) {
    const { ofType, tablespace, accessMethod, rules, ...table } = row!;
    const needs: NodeId[] = [];
    const model: TableModel = {
      ...table,
      columns: (columns.get(oid) ?? []).map(({ number, defaultOid, ...column }) => {
        const defaultLate = defaultOid !== null && late('pg_attrdef', defaultOid);
        if (defaultOid !== null && !defaultLate) needs.push(nodeId('pg_attrdef', defaultOid));
        return {
          ...column,
          defaultLate,
          identitySequence: context.identities.get(`${oid}.${number}`) ?? null,
        };
      }),
      constraints: (constraints.get(oid) ?? []).map(({ oid: constraint, ...each }) => {
        const isLate = each.type === 'check' && late('pg_constraint', constraint);
        if (each.type === 'check' && !isLate) needs.push(nodeId('pg_constraint', constraint));
        return { ...each, late: isLate };
      }),
      indexes: indexes.get(oid) ?? [],
      triggers: triggers.get(oid) ?? [],
      policies: policies.get(oid) ?? [],
      statistics: statistics.get(oid) ?? [],
    };
    models.set(oid, model);
    context.extraNeeds.set(nodeId('pg_class', oid), needs);
    context.findings.push(...tableFindings(model, { ofType, tablespace, accessMethod, rules }));
  }
  return models;
}

async function readViewModels(
  db: Queryable,
  oids: string[],
  context: { extraNeeds: Map<NodeId, NodeId[]>; findings: Finding[] },
): Promise<Map<string, ViewModel>> {
  const rows = await readViews(db, oids);
  const indexes = await readIndexes(db, oids);
  const triggers = await readTriggers(db, oids);
  return new Map(
    rows.map(({ oid, model, rewrites, ...extra }) => {
      const view: ViewModel = {
        ...model,
        indexes: indexes.get(oid) ?? [],
        triggers: triggers.get(oid) ?? [],
      };
      context.extraNeeds.set(
        nodeId('pg_class', oid),
        rewrites.map((rewrite) => nodeId('pg_rewrite', rewrite)),
      );
      context.findings.push(...viewFindings(view, extra));
      return [oid, view];
    }),
  );
}
