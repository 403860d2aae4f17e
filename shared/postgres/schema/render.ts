import { ident, literal, qualified } from '../ident.ts';
import type {
  CollationModel,
  ColumnModel,
  ConstraintModel,
  FunctionModel,
  IndexModel,
  ObjectName,
  SequenceModel,
  TableModel,
  TypeModel,
  ViewModel,
} from './model.ts';

/** Statements that make one object each. Names go through ident(), texts come from PostgreSQL's own printing. */

export const nameOf = (object: ObjectName): string => qualified(object.schema, object.name);
const collate = (collation: ObjectName | null): string => (collation ? ` collate ${nameOf(collation)}` : '');

/** `a=1` as the catalogue has it, as `"a" = '1'`. */
const option = (text: string, prefix = ''): string => {
  const at = text.indexOf('=');
  return at < 0
    ? `${prefix}${ident(text)}`
    : `${prefix}${ident(text.slice(0, at))} = ${literal(text.slice(at + 1)).trim()}`;
};
export const optionList = (options: readonly string[], toast: readonly string[] = []): string =>
  [...options.map((each) => option(each)), ...toast.map((each) => option(each, 'toast.'))].join(', ');

export function createCollation(collation: CollationModel): string {
  const { provider, locale, ctype } = collation;
  const parts = [
    `provider = ${provider}`,
    ...(provider === 'libc'
      ? [`lc_collate = ${literal(locale ?? 'C')}`, `lc_ctype = ${literal(ctype ?? 'C')}`]
      : [`locale = ${literal(locale ?? 'und')}`]),
    ...(collation.deterministic ? [] : ['deterministic = false']),
    ...(collation.rules === null ? [] : [`rules = ${literal(collation.rules)}`]),
  ];
  return `create collation if not exists ${nameOf(collation)} (${parts.join(', ')})`;
}

export function createType(type: TypeModel): string {
  const head = type.form === 'domain' ? `create domain ${nameOf(type)}` : `create type ${nameOf(type)}`;
  switch (type.form) {
    case 'enum':
      return `${head} as enum (${type.labels.map((label) => literal(label)).join(', ')})`;
    case 'composite':
      return `${head} as (${type.attributes
        .map((each) => `${ident(each.name)} ${each.type}${collate(each.collation)}`)
        .join(', ')})`;
    case 'range':
      return `${head} as range (${[
        `subtype = ${type.subtype}`,
        ...(type.operatorClass ? [`subtype_opclass = ${nameOf(type.operatorClass)}`] : []),
        ...(type.collation ? [`collation = ${nameOf(type.collation)}`] : []),
        ...(type.subtypeDiff ? [`subtype_diff = ${nameOf(type.subtypeDiff)}`] : []),
        `multirange_type_name = ${nameOf(type.multirange)}`,
      ].join(', ')})`;
    case 'domain':
      return [
        `${head} as ${type.base}${collate(type.collation)}`,
        ...(type.default === null ? [] : [`default ${type.default}`]),
        ...(type.notNull ? ['not null'] : []),
        ...type.constraints
          .filter((each) => !isNotValid(each.definition))
          .map((each) => `constraint ${ident(each.name)} ${each.definition}`),
      ].join(' ');
  }
}

export const isNotValid = (definition: string): boolean => definition.endsWith(' NOT VALID');

const sequenceOptions = (sequence: SequenceModel): string =>
  `start with ${sequence.start} increment by ${sequence.increment} minvalue ${sequence.min}` +
  ` maxvalue ${sequence.max} cache ${sequence.cache} ${sequence.cycle ? 'cycle' : 'no cycle'}`;

export const createSequence = (sequence: SequenceModel): string =>
  `create ${sequence.unlogged ? 'unlogged ' : ''}sequence if not exists ${nameOf(sequence)}` +
  ` as ${sequence.type} ${sequenceOptions(sequence)}`;

/** Bodies are not checked: they may name what is made later. Two statements, one implicit transaction. */
export const createFunction = (each: FunctionModel): string =>
  `set local check_function_bodies = off;\n${each.definition.trimEnd()}`;

const columnDefinition = (column: ColumnModel): string =>
  [
    `${ident(column.name)} ${column.type}`,
    ...(column.compression ? [`compression ${column.compression}`] : []),
    ...(column.collation ? [`collate ${nameOf(column.collation)}`] : []),
    ...(column.generated ? [`generated always as (${column.default}) ${column.generated}`] : []),
    ...(column.default !== null && !column.generated && !column.defaultLate
      ? [`default ${column.default}`]
      : []),
    ...(column.identity && column.identitySequence
      ? [
          `generated ${column.identity} as identity (sequence name ${nameOf(column.identitySequence)} ${sequenceOptions(column.identitySequence)})`,
        ]
      : []),
    ...(column.notNull && column.notNullConstraint?.validated !== false
      ? [
          `${column.notNullConstraint?.name ? `constraint ${ident(column.notNullConstraint.name)} ` : ''}not null${
            column.notNullConstraint?.noInherit ? ' no inherit' : ''
          }`,
        ]
      : []),
  ].join(' ');

/** Whether a check stands in CREATE TABLE: others come later, or from a parent by INHERITS. */
export const isInlineCheck = (table: TableModel, constraint: ConstraintModel): boolean =>
  constraint.type === 'check' &&
  constraint.validated &&
  !constraint.late &&
  (constraint.local || table.partitionOf !== null);

/**
 * A partition is made as a table and attached afterwards, so that its keys keep their names. An inheriting table gets
 * what it has of its own on inherited columns in the same implicit transaction. `namesNotNull`: the server is an 18.
 */
export function createTable(table: TableModel, namesNotNull: boolean): string {
  const inherited = table.inherits.length > 0 ? table.columns.filter((each) => !each.local) : [];
  const ownNotNull = inherited.filter((each) => each.notNull && each.notNullConstraint?.local !== false);
  const elements = [
    ...table.columns.filter((each) => !inherited.includes(each)).map(columnDefinition),
    ...(namesNotNull ? ownNotNull : [])
      .filter((each) => each.notNullConstraint?.validated)
      .map((each) => `constraint ${ident(notNullName(table, each))} not null ${ident(each.name)}`),
    ...table.constraints
      .filter((each) => isInlineCheck(table, each))
      .map((each) => `constraint ${ident(each.name)} ${each.definition}`),
  ];
  const create = [
    `create ${table.unlogged ? 'unlogged ' : ''}table if not exists ${nameOf(table)} (${
      elements.length > 0 ? `\n  ${elements.join(',\n  ')}\n` : ''
    })`,
    ...(table.inherits.length > 0 ? [`inherits (${table.inherits.map(nameOf).join(', ')})`] : []),
    ...(table.partitionBy === null ? [] : [`partition by ${table.partitionBy}`]),
    ...(table.options.length + table.toastOptions.length > 0
      ? [`with (${optionList(table.options, table.toastOptions)})`]
      : []),
  ].join(' ');
  const settings = inherited.flatMap((each) => [
    ...(each.default !== null && !each.generated && !each.defaultLate
      ? [`alter column ${ident(each.name)} set default ${each.default}`]
      : []),
    ...(!namesNotNull && ownNotNull.includes(each) ? [`alter column ${ident(each.name)} set not null`] : []),
  ]);
  return settings.length > 0
    ? `${create};\nalter table only ${nameOf(table)} ${settings.join(', ')}`
    : create;
}

/** PostgreSQL's own name for a not-null constraint, where the model has none. */
export const notNullName = (table: ObjectName, column: ColumnModel): string =>
  column.notNullConstraint?.name ?? `${table.name}_${column.name}_not_null`;

export const createIndex = (owner: ObjectName, index: IndexModel, partitioned: boolean): string =>
  `create ${index.unique ? 'unique ' : ''}index if not exists ${ident(index.name)} on ${
    partitioned ? 'only ' : ''
  }${nameOf(owner)} using ${index.definition}`;

export function createView(view: ViewModel): string {
  const options = view.options.length > 0 ? ` with (${optionList(view.options)})` : '';
  const definition = view.definition.trim().replace(/;$/, '');
  return view.materialized
    ? `create materialized view if not exists ${nameOf(view)}${options} as ${definition} with ${view.populated ? '' : 'no '}data`
    : `create or replace view ${nameOf(view)}${options} as ${definition}`;
}

/** The settings of a column that CREATE TABLE can not give on every version, as parts of one ALTER TABLE. */
export function columnSettings(column: ColumnModel, there: ColumnModel | undefined): string[] {
  const alter = `alter column ${ident(column.name)} set`;
  return [
    ...(column.storage && there?.storage !== column.storage ? [`${alter} storage ${column.storage}`] : []),
    ...(column.statistics !== null && (there?.statistics ?? null) === null
      ? [`${alter} statistics ${column.statistics}`]
      : []),
    ...(column.options.length > 0 && (there?.options ?? []).length === 0
      ? [`${alter} (${optionList(column.options)})`]
      : []),
  ];
}
