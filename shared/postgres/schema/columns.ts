import {
  type ColumnModel,
  type Finding,
  keyOf,
  type ObjectName,
  objectsOf,
  type SchemaModel,
  type SchemaObject,
  type TableModel,
} from './model.ts';
import { rewriteNames, wordsOf } from './words.ts';

/** What becomes of a table's columns on the destination. */
export type ColumnPlan = {
  readonly keeps: (column: string) => boolean;
  readonly to: (column: string) => string;
  /** Types of columns that are not the source's; of new columns as well, which come behind the others. */
  readonly types?: ReadonlyMap<string, string>;
};

/**
 * The model with fewer columns, or columns of other names, and what uses them: keys, indexes and checks of columns that
 * are left out are left out with them. Triggers, policies, statistics and views of such a table are left out whole:
 * what they do with its columns can not be followed. Asked for the table that a partition belongs to.
 */
export function mapColumns(
  model: SchemaModel,
  planOf: (root: ObjectName) => ColumnPlan | undefined,
): SchemaModel {
  const tables = new Map(objectsOf(model, 'table').map((table) => [keyOf(table), table]));
  const plans = new Map<string, ColumnPlan>();
  for (const [key, table] of tables) {
    const plan = planOf(rootOf(table, tables));
    if (plan && changes(table, plan)) plans.set(key, plan);
  }
  if (plans.size === 0) return model;
  const findings: Finding[] = [];
  const leave = (kind: string, table: ObjectName, name: string): void => {
    const reason = `left out: columns of ${table.name} are left out or get other names`;
    findings.push({ severity: 'note', kind, schema: table.schema, name, reason });
  };
  const objects = model.objects.flatMap((object): SchemaObject[] => {
    if (object.kind === 'view') {
      const names = wordsOf(object.definition);
      if (![...plans.keys()].some((key) => names.relations.has(key))) return [object];
      leave('view', object, object.name);
      return [];
    }
    const plan = object.kind === 'table' ? plans.get(keyOf(object)) : undefined;
    if (object.kind !== 'table' || !plan) return [object];
    for (const { name } of object.triggers) leave('trigger', object, name);
    for (const { name } of object.policies) leave('policy', object, name);
    for (const { name } of object.statistics) leave('statistics', object, name);
    return [mapTable(object, plan, plans)];
  });
  const owned = objects.flatMap((object): SchemaObject[] => {
    if (object.kind !== 'sequence' || !object.ownedBy) return [object];
    const plan = plans.get(keyOf(object.ownedBy));
    if (!plan) return [object];
    const { column } = object.ownedBy;
    return plan.keeps(column) ? [{ ...object, ownedBy: { ...object.ownedBy, column: plan.to(column) } }] : [];
  });
  return { ...model, objects: owned, findings: [...model.findings, ...findings] };
}

function rootOf(table: TableModel, tables: ReadonlyMap<string, TableModel>): TableModel {
  let root = table;
  for (let above = root.partitionOf; above; above = root.partitionOf) {
    const parent = tables.get(keyOf(above));
    if (!parent) break;
    root = parent;
  }
  return root;
}

const changes = (table: TableModel, { keeps, to, types }: ColumnPlan): boolean =>
  (types?.size ?? 0) > 0 || table.columns.some(({ name }) => !keeps(name) || to(name) !== name);

function mapTable(table: TableModel, plan: ColumnPlan, plans: ReadonlyMap<string, ColumnPlan>): TableModel {
  const gone = new Set(table.columns.flatMap(({ name }) => (plan.keeps(name) ? [] : [name])));
  // A column that is computed from one that is left out can't be computed there.
  for (const column of table.columns)
    if (column.generated && usesAny(column.default ?? '', gone)) gone.add(column.name);
  const retyped = new Set(table.columns.flatMap(({ name }) => (plan.types?.has(name) ? [name] : [])));
  const names = new Map(table.columns.map(({ name }) => [name, plan.to(name)]));
  const text = (value: string): string => rewriteNames(value, names);
  const isLost = (value: string): boolean => usesAny(value, gone);
  const column = (each: ColumnModel): ColumnModel => {
    const type = plan.types?.get(each.name);
    const identity = each.identitySequence;
    const moved = identity && {
      ...identity,
      ownedBy: identity.ownedBy && { ...identity.ownedBy, column: plan.to(each.name) },
    };
    return {
      ...each,
      name: plan.to(each.name),
      default: each.generated && each.default !== null ? text(each.default) : each.default,
      identitySequence: moved,
      ...(type === undefined ? {} : otherType(type)),
    };
  };
  const added = [...(plan.types ?? [])].filter(([name]) => !names.has(name));
  return {
    ...table,
    partitionBy: table.partitionBy === null ? null : text(table.partitionBy),
    columns: [
      ...table.columns.filter(({ name }) => !gone.has(name)).map(column),
      ...added.map(([name, type]) => newColumn(plan.to(name), type)),
    ],
    constraints: table.constraints
      .filter((each) => {
        const [own, referred] = splitReference(each.definition);
        const uses = each.columns.some((name) => gone.has(name)) || isLost(own);
        const meaning = each.type === 'check' || each.type === 'exclude' || each.type === 'foreign';
        const other = meaning && (each.columns.some((name) => retyped.has(name)) || usesAny(own, retyped));
        return (
          !uses && !other && !(each.references && losesReference(referred, plans.get(keyOf(each.references))))
        );
      })
      .map((each) => {
        const [own, referred] = splitReference(each.definition);
        const target = each.references && plans.get(keyOf(each.references));
        return {
          ...each,
          columns: each.columns.map((name) => plan.to(name)),
          definition: text(own) + (target ? rewriteNames(referred, namesIn(referred, target)) : referred),
        };
      }),
    indexes: table.indexes
      .filter((each) => !isLost(each.definition) && !usesAny(each.definition, retyped))
      .map((each) => ({ ...each, definition: afterMethod(each.definition, text) })),
    triggers: [],
    policies: [],
    statistics: [],
    rowSecurity: false,
    forceRowSecurity: false,
  };
}

const otherType = (type: string): Partial<ColumnModel> => ({
  type,
  collation: null,
  default: null,
  generated: null,
  identity: null,
  identitySequence: null,
  storage: null,
  compression: null,
});

const newColumn = (name: string, type: string): ColumnModel => ({
  ...{ name, type, collation: null, notNull: false, notNullConstraint: null, default: null },
  ...{ defaultLate: false, generated: null, identity: null, identitySequence: null, storage: null },
  ...{ compression: null, statistics: null, options: [], local: true, comment: null },
});

/** An index's definition starts with its access method, which is no column. */
function afterMethod(definition: string, text: (value: string) => string): string {
  const space = definition.indexOf(' ');
  return definition.slice(0, space) + text(definition.slice(space));
}

/** A foreign key's own columns, and what it refers to. */
function splitReference(definition: string): [string, string] {
  const at = definition.indexOf(' REFERENCES ');
  return at < 0 ? [definition, ''] : [definition.slice(0, at), definition.slice(at)];
}

const losesReference = (referred: string, plan: ColumnPlan | undefined): boolean =>
  plan !== undefined && [...wordsOf(referred).columns].some((name) => !plan.keeps(name));

const namesIn = (text: string, plan: ColumnPlan): Map<string, string> =>
  new Map([...wordsOf(text).columns].map((name) => [name, plan.to(name)]));

const usesAny = (text: string, names: ReadonlySet<string>): boolean =>
  names.size > 0 && [...wordsOf(text).columns].some((name) => names.has(name));
