import { qualified } from '../ident.ts';
import {
  keyOf,
  type ObjectName,
  type SchemaModel,
  type SchemaObject,
  type SequenceModel,
  type TableModel,
} from './model.ts';

/** Maps a source name to the destination's. Not asked for extensions: they keep name and schema. */
export type Rename = (kind: SchemaObject['kind'], schema: string, name: string) => ObjectName;

type Names = {
  /** Tables and views: without an alias, a query refers to their columns by the old name. */
  readonly queried: Set<string>;
  readonly relations: Map<string, ObjectName>;
  readonly functions: Map<string, ObjectName>;
};

const textPattern =
  /(\$[A-Za-z_\u0080-\uffff]*\$)[\s\S]*?\1|[eE]?'(?:[^'\\]|''|\\[\s\S])*'(?:::regclass)?|(?:"(?:[^"]|"")*"|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)(?:\.(?:"(?:[^"]|"")*"|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*))*/g;
const partPattern = /"(?:[^"]|"")*"|[^.]+/g;

const unquoted = (part: string): string =>
  part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part;

/**
 * A text printed by PostgreSQL under search_path '' with the names replaced. Every name that can be renamed is printed
 * as schema.name, so words alone are never touched; strings only where they are a regclass, bodies of functions never.
 */
export function rewriteText(text: string, names: Names, isQuery = false): string {
  return text.replace(textPattern, (token: string, dollar: string | undefined, offset: number) => {
    if (dollar) return token;
    const regclass = /^'((?:[^']|'')*)'::regclass$/.exec(token);
    if (regclass) {
      const inner = rewriteText(regclass[1]!.replaceAll("''", "'"), names);
      return `'${inner.replaceAll("'", "''")}'::regclass`;
    }
    if (/^[eE]?'/.test(token)) return token;
    const [schema, name, ...rest] = (token.match(partPattern) ?? []) as string[];
    if (schema === undefined || name === undefined) return token;
    const key = keyOf({ schema: unquoted(schema), name: unquoted(name) });
    const after = text.slice(offset + token.length, offset + token.length + 40);
    const called = after.startsWith('(') && !text.slice(0, offset).endsWith('REFERENCES ');
    const to = (called ? names.functions.get(key) : undefined) ?? names.relations.get(key);
    if (!to) return token;
    // PostgreSQL prints keywords in capitals and names in small letters or quotes: those would be an alias.
    const aliased = /^\s+["a-z_\u0080-\uffff]/.test(after) || text.slice(0, offset).endsWith('::');
    const alias = isQuery && rest.length === 0 && names.queried.has(key) && !aliased ? ` as ${name}` : '';
    return [qualified(to.schema, to.name), ...rest].join('.') + alias;
  });
}

/** A function as pg_get_functiondef gives it: only a body in SQL is a query. */
function rewriteFunction(definition: string, names: Names): string {
  const body = definition.search(/^BEGIN ATOMIC$/m);
  if (body < 0) return rewriteText(definition, names);
  return rewriteText(definition.slice(0, body), names) + rewriteText(definition.slice(body), names, true);
}

/** The model as the destination shall have it: every object under its new name, and every text that names it. */
export function renameModel(model: SchemaModel, rename: Rename): SchemaModel {
  const names: Names = { relations: new Map(), functions: new Map(), queried: new Set() };
  let changed = false;
  const note = (map: Map<string, ObjectName>, kind: SchemaObject['kind'], from: ObjectName) => {
    const to = rename(kind, from.schema, from.name);
    if (to.schema === from.schema && to.name === from.name) return;
    changed = true;
    map.set(keyOf(from), { schema: to.schema, name: to.name });
    if ((kind === 'table' || kind === 'view') && to.name !== from.name) names.queried.add(keyOf(from));
  };
  for (const object of model.objects) {
    if (object.kind === 'extension') continue;
    if (object.kind === 'schema') {
      changed ||= rename(object.kind, object.schema, object.name).schema !== object.schema;
    } else note(object.kind === 'function' ? names.functions : names.relations, object.kind, object);
    if (object.kind === 'type' && object.form === 'range') note(names.relations, 'type', object.multirange);
    if (object.kind !== 'table') continue;
    for (const { identitySequence } of object.columns) {
      if (identitySequence) note(names.relations, 'sequence', identitySequence);
    }
    for (const each of object.statistics) {
      const { schema } = rename('schema', each.schema, each.schema);
      if (schema !== each.schema) names.relations.set(keyOf(each), { schema, name: each.name });
    }
  }
  if (!changed) return model;
  const renamer = renamerOf(names, rename);
  return {
    ...model,
    objects: withSchemasInUse(model.objects.map(renamer)),
    missing: model.missing.map((each) => rename('table', each.schema, each.name)),
  };
}

/** Schemas may become one, become empty, or be new: exactly those that the objects are in. */
function withSchemasInUse(objects: readonly SchemaObject[]): SchemaObject[] {
  const others = objects.filter((each) => each.kind !== 'schema');
  const comments = new Map(
    objects.flatMap((each) => (each.kind === 'schema' ? [[each.name, each.comment]] : [])),
  );
  const schemas = [...new Set(others.map((each) => each.schema))].toSorted();
  return [
    ...schemas.map(
      (name): SchemaObject => ({ kind: 'schema', schema: name, name, comment: comments.get(name) ?? null }),
    ),
    ...others,
  ];
}

function renamerOf(names: Names, rename: Rename): (object: SchemaObject) => SchemaObject {
  const text = (value: string): string => rewriteText(value, names);
  const maybe = (value: string | null): string | null => (value === null ? null : text(value));
  const relation = <T extends ObjectName>(name: T): T => ({ ...name, ...names.relations.get(keyOf(name)) });
  const relationOrNull = <T extends ObjectName>(name: T | null): T | null => (name ? relation(name) : null);
  const schemaName = (schema: string): string => rename('schema', schema, schema).schema;
  const sequence = (each: SequenceModel): SequenceModel => ({
    ...relation(each),
    ownedBy: relationOrNull(each.ownedBy),
  });

  const table = (each: TableModel): TableModel => ({
    ...relation(each),
    inherits: each.inherits.map(relation),
    partitionOf: each.partitionOf && { ...relation(each.partitionOf), bound: text(each.partitionOf.bound) },
    partitionBy: maybe(each.partitionBy),
    columns: each.columns.map((column) => ({
      ...column,
      type: text(column.type),
      collation: relationOrNull(column.collation),
      default: maybe(column.default),
      identitySequence: column.identitySequence && sequence(column.identitySequence),
    })),
    constraints: each.constraints.map((constraint) => ({
      ...constraint,
      definition: text(constraint.definition),
      references: relationOrNull(constraint.references),
    })),
    indexes: each.indexes.map((index) => ({ ...index, definition: text(index.definition) })),
    triggers: each.triggers.map((trigger) => ({ ...trigger, definition: text(trigger.definition) })),
    policies: each.policies.map((policy) => ({
      ...policy,
      using: maybe(policy.using),
      check: maybe(policy.check),
    })),
    statistics: each.statistics.map((one) => ({
      ...one,
      schema: schemaName(one.schema),
      definition: text(one.definition),
    })),
  });

  return (object) => {
    switch (object.kind) {
      case 'schema':
        return { ...object, schema: schemaName(object.name), name: schemaName(object.name) };
      case 'extension':
        return object;
      case 'collation':
        return relation(object);
      case 'sequence':
        return sequence(object);
      case 'table':
        return table(object);
      case 'function':
        return {
          ...object,
          ...names.functions.get(keyOf(object)),
          arguments: text(object.arguments),
          definition: rewriteFunction(object.definition, names),
        };
      case 'view':
        return {
          ...relation(object),
          definition: rewriteText(object.definition, names, true),
          indexes: object.indexes.map((index) => ({ ...index, definition: text(index.definition) })),
          triggers: object.triggers.map((trigger) => ({ ...trigger, definition: text(trigger.definition) })),
        };
      case 'type':
        if (object.form === 'enum') return relation(object);
        if (object.form === 'composite') {
          return {
            ...relation(object),
            attributes: object.attributes.map((each) => ({
              ...each,
              type: text(each.type),
              collation: relationOrNull(each.collation),
            })),
          };
        }
        if (object.form === 'range') {
          const diff = object.subtypeDiff;
          return {
            ...relation(object),
            subtype: text(object.subtype),
            collation: relationOrNull(object.collation),
            multirange: relation(object.multirange),
            subtypeDiff: diff && (names.functions.get(keyOf(diff)) ?? diff),
          };
        }
        return {
          ...relation(object),
          base: text(object.base),
          collation: relationOrNull(object.collation),
          default: maybe(object.default),
          constraints: object.constraints.map((each) => ({ ...each, definition: text(each.definition) })),
        };
    }
  };
}
