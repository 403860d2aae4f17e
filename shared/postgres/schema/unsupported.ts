import type { Graph, Node, NodeId } from './dependencies.ts';
import {
  type Finding,
  keyOf,
  type ObjectName,
  objectsOf,
  type SchemaModel,
  type TableModel,
  type ViewModel,
} from './model.ts';

/**
 * What the selection has and schema synchronization can not make exactly, by name, with the reason. With
 * `destinationVersion` (as server_version_num) also what that server is too old for.
 */
export function unsupportedObjects(
  model: SchemaModel,
  destinationVersion = Number.MAX_SAFE_INTEGER,
): Finding[] {
  const missing = model.missing.map((name) =>
    found('error', 'table', name, 'does not exist, or is no table'),
  );
  const opaque = objectsOf(model, 'function')
    .filter((each) => each.opaque)
    .map((each) =>
      found(
        'note',
        'function',
        each,
        'its body is text: what it names is not followed and must be on the destination',
      ),
    );
  return [...missing, ...model.findings, ...opaque, ...tooNew(model, destinationVersion)];
}

const found = (
  severity: Finding['severity'],
  kind: string,
  { schema, name }: ObjectName,
  reason: string,
): Finding => ({ severity, kind, schema, name, reason });

function tooNew(model: SchemaModel, version: number): Finding[] {
  const findings: Finding[] = [];
  const needs = (major: number, kind: string, { schema, name }: ObjectName, what: string) => {
    if (version < major * 10_000)
      findings.push(found('error', kind, { schema, name }, `${what} needs PostgreSQL ${major}`));
  };
  for (const each of objectsOf(model, 'collation')) {
    if (each.provider === 'builtin') needs(17, 'collation', each, 'the builtin provider');
    if (each.rules !== null) needs(16, 'collation', each, 'a collation with rules');
  }
  for (const { schema, name, columns, constraints } of objectsOf(model, 'table')) {
    for (const column of columns) {
      const path = { schema, name: `${name}.${column.name}` };
      if (column.generated === 'virtual') needs(18, 'column', path, 'a virtual generated column');
      if (column.notNullConstraint?.validated === false) needs(18, 'column', path, 'NOT NULL NOT VALID');
      if (column.notNullConstraint?.noInherit) needs(18, 'column', path, 'NOT NULL NO INHERIT');
    }
    for (const each of constraints) {
      const path = { schema, name: `${name}.${each.name}` };
      if (/ NOT ENFORCED$/.test(each.definition)) needs(18, 'constraint', path, 'NOT ENFORCED');
      if (/ WITHOUT OVERLAPS\)/.test(each.definition)) needs(18, 'constraint', path, 'WITHOUT OVERLAPS');
      if (each.type === 'foreign' && /, PERIOD /.test(each.definition))
        needs(18, 'constraint', path, 'PERIOD');
    }
  }
  return findings;
}

const parts = new Set([
  'pg_attrdef',
  'pg_constraint',
  'pg_trigger',
  'pg_policy',
  'pg_rewrite',
  'pg_statistic_ext',
]);

const describe = (node: Node): string => `${node.type} ${node.identity}`;

/** For each node one that needs it, in words; a row or array type stands for what uses it. */
function needers(graph: Graph): Map<NodeId, string> {
  const by = new Map<NodeId, Node>();
  const nodes = [...graph.values()].toSorted((a, b) => (describe(a) < describe(b) ? 1 : -1));
  for (const node of nodes) for (const need of node.needs) if (need !== node.id) by.set(need, node);
  return new Map(
    [...by].map(([id, first]) => {
      let node = first;
      for (let steps = 0; steps < 3 && node.catalogue === 'pg_type' && node.made; steps++) {
        node = by.get(node.id) ?? node;
      }
      return [id, describe(node)];
    }),
  );
}

/** What was reached and became no object of the model. */
export function graphFindings(
  graph: Graph,
  objects: ReadonlyMap<NodeId, unknown>,
  identitySequences: ReadonlySet<string>,
): Finding[] {
  const neededBy = needers(graph);
  const findings: Finding[] = [];
  for (const node of graph.values()) {
    if (node.extension || objects.has(node.id) || parts.has(node.catalogue)) continue;
    if (node.made && (node.catalogue === 'pg_type' || node.catalogue === 'pg_proc')) continue;
    if (node.catalogue === 'pg_namespace') continue;
    if (node.relkind !== null && !'rpfvm'.includes(node.relkind)) {
      if (node.relkind !== 'S' || identitySequences.has(keyOf(node))) continue;
    }
    const by = neededBy.get(node.id);
    findings.push({
      severity: 'error',
      kind: node.type,
      schema: node.name ? node.schema : '',
      name: node.name || node.identity,
      reason:
        node.relkind === null
          ? `this kind of ${node.type} can not be made${by ? `; ${by} needs it` : ''}`
          : `is not selected${by ? `, but ${by} needs it` : ''}`,
    });
  }
  return findings;
}

/** Foreign keys to tables that are not selected: they are left out. */
export function foreignKeyFindings(tables: readonly TableModel[]): Finding[] {
  const selected = new Set(tables.map(keyOf));
  return tables.flatMap((table) =>
    table.constraints
      .filter((each) => each.references && !selected.has(keyOf(each.references)))
      .map(
        (each): Finding => ({
          severity: 'note',
          kind: 'foreign key',
          schema: table.schema,
          name: `${table.name}.${each.name}`,
          reason: `refers to ${each.references!.schema}.${each.references!.name}, which is not selected, so it is left out`,
        }),
      ),
  );
}

type TableExtra = { ofType: boolean; tablespace: boolean; accessMethod: string | null; rules: boolean };

export function tableFindings(table: TableModel, extra: TableExtra): Finding[] {
  const of = (severity: Finding['severity'], reason: string): Finding => ({
    severity,
    kind: 'table',
    schema: table.schema,
    name: table.name,
    reason,
  });
  const findings: Finding[] = [];
  if (table.form === 'foreign') findings.push(of('error', 'is a foreign table'));
  if (extra.ofType) findings.push(of('note', 'is a typed table (OF), made as an ordinary one'));
  if (extra.tablespace) findings.push(of('note', 'is in a tablespace, made in the default one'));
  if (extra.rules) findings.push(of('error', 'has rules, which are not made'));
  if (extra.accessMethod !== null && extra.accessMethod !== 'heap') {
    findings.push(of('note', `uses access method ${extra.accessMethod}, made with the default one`));
  }
  for (const index of table.indexes) {
    if (index.valid || table.form === 'partitioned') continue;
    findings.push({ ...of('note', `index ${index.name} is not valid, so it is left out`), kind: 'index' });
  }
  return findings;
}

export function viewFindings(view: ViewModel, extra: { rules: boolean; defaults: boolean }): Finding[] {
  const of = (reason: string): Finding => ({
    severity: 'error',
    kind: 'view',
    schema: view.schema,
    name: view.name,
    reason,
  });
  return [
    ...(extra.rules ? [of('has rules, which are not made')] : []),
    ...(extra.defaults ? [of('has column defaults, which are not made')] : []),
  ];
}
