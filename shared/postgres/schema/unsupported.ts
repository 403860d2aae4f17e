import type { Graph, NodeId } from './dependencies.ts';
import {
  type Finding,
  keyOf,
  objectsOf,
  type SchemaModel,
  type TableModel,
  type ViewModel,
} from './model.ts';

/** What the selection has and schema synchronization can not make exactly, by name, with the reason. */
export const unsupportedObjects = (model: SchemaModel): readonly Finding[] => [
  ...model.missing.map(
    ({ schema, name }): Finding => ({
      severity: 'error',
      kind: 'table',
      schema,
      name,
      reason: 'does not exist, or is no table',
    }),
  ),
  ...model.findings,
  ...objectsOf(model, 'function')
    .filter((each) => each.opaque)
    .map(
      ({ schema, name }): Finding => ({
        severity: 'note',
        kind: 'function',
        schema,
        name,
        reason: 'its body is text: what it names is not followed and must be on the destination',
      }),
    ),
];

const parts = new Set([
  'pg_attrdef',
  'pg_constraint',
  'pg_trigger',
  'pg_policy',
  'pg_rewrite',
  'pg_statistic_ext',
]);

/** What was reached and became no object of the model. */
export function graphFindings(
  graph: Graph,
  objects: ReadonlyMap<NodeId, unknown>,
  identitySequences: ReadonlySet<string>,
): Finding[] {
  const neededBy = new Map<NodeId, string>();
  for (const node of graph.values())
    for (const need of node.needs) neededBy.set(need, `${node.type} ${node.identity}`);
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
      schema: node.schema,
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
