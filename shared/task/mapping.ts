import { PgtwinError } from '../errors/pgtwin-error.ts';
import type { NameMapping } from './objects.ts';
import { nameRewriter } from './rewrite-name.ts';
import type { TableName } from './schema.ts';
import { keyOfTable, matcherOf } from './selection.ts';

/** PostgreSQL cuts longer names off, silently. */
const MOST_BYTES = 63;

/** The destination's names of the source's objects: a pure function of a configuration and the source's names. */
export type Mapping = {
  /** True if every name stays as it is. */
  readonly isIdentity: boolean;
  /** True if a column may get another name. */
  readonly mapsColumns: boolean;
  readonly schema: (name: string) => string;
  readonly table: (table: TableName) => TableName;
  readonly column: (table: TableName, column: string) => string;
};

type Rewrite = { readonly fits: (schema: string, table: string, column: string) => boolean } & {
  readonly to: (name: string) => string;
};

/** The names that a configuration gives. What was asked for once is remembered. */
export function mappingOf({ capitalization, rules, names }: NameMapping): Mapping {
  const rewrites = (level: 'schema' | 'table' | 'column'): Rewrite[] =>
    rules
      .filter((rule) => rule.level === level)
      .map((rule) => {
        const [schema, table, column] = [rule.schema, rule.table, rule.column].map(matcherOf);
        const { match, replace, prefix, suffix } = rule;
        return {
          fits: (s, t, c) =>
            schema!(s) && (level === 'schema' || table!(t)) && (level !== 'column' || column!(c)),
          to: (name) => `${prefix}${match === undefined ? name : rewritten(match, replace, name)}${suffix}`,
        };
      });
  const cased = (name: string): string =>
    capitalization === 'lower' ? name.toLowerCase() : capitalization === 'upper' ? name.toUpperCase() : name;
  const byRules = (list: readonly Rewrite[], name: string, at: [string, string, string]): string =>
    checked(cased(list.reduce((now, rewrite) => (rewrite.fits(...at) ? rewrite.to(now) : now), name)), name);

  const own = new Map(names.map((each) => [JSON.stringify([each.schema, each.table, each.column]), each]));
  const ownName = (...at: string[]) => own.get(JSON.stringify([at[0], at[1], at[2]]));
  const [schemaRules, tableRules, columnRules] = [rewrites('schema'), rewrites('table'), rewrites('column')];

  const schema = remembered(
    (name: string) => ownName(name)?.to ?? byRules(schemaRules, name, [name, '', '']),
  );
  const tables = new Map<string, TableName>();
  const columns = new Map<string, string>();
  return {
    isIdentity: names.length === 0 && rules.length === 0 && ['default', 'source'].includes(capitalization),
    mapsColumns:
      names.some((each) => each.column !== undefined) ||
      columnRules.length > 0 ||
      !['default', 'source'].includes(capitalization),
    schema,
    table(table) {
      const id = keyOfTable(table);
      let to = tables.get(id);
      if (!to) {
        const named = ownName(table.schema, table.name);
        to = {
          schema: named?.toSchema ?? schema(table.schema),
          name: named?.to ?? byRules(tableRules, table.name, [table.schema, table.name, '']),
        };
        tables.set(id, to);
      }
      return to;
    },
    column(table, column) {
      const id = `${keyOfTable(table)}\0${column}`;
      let to = columns.get(id);
      if (to === undefined) {
        const named = ownName(table.schema, table.name, column);
        to = named?.to ?? byRules(columnRules, column, [table.schema, table.name, column]);
        columns.set(id, to);
      }
      return to;
    },
  };
}

function remembered(make: (name: string) => string): (name: string) => string {
  const known = new Map<string, string>();
  return (name) => {
    let to = known.get(name);
    if (to === undefined) {
      to = make(name);
      known.set(name, to);
    }
    return to;
  };
}

function rewritten(match: string, replace: string, name: string): string {
  const to = nameRewriter(match, replace).rewrite(name);
  if (to !== undefined) return to;
  throw invalid(`The expression ${match} of a rule takes too long on the name ${name}.`);
}

function checked(to: string, name: string): string {
  if (to.length === 0) throw invalid(`A rule leaves nothing of the name ${name}.`);
  if (to.includes('\0')) throw invalid(`A rule puts a zero character into the name ${name}.`);
  const bytes = Buffer.byteLength(to);
  if (bytes > MOST_BYTES)
    throw invalid(
      `${name} would be called ${to}, which has ${bytes} bytes; names have at most ${MOST_BYTES}.`,
    );
  return to;
}

const invalid = (detail: string): PgtwinError => new PgtwinError('mapping-invalid', { detail });

/** A table of the catalogue with the columns that are synchronized. */
export type MappableTable = TableName & { readonly columns: readonly string[] };
export type MappedTable = {
  readonly source: TableName;
  readonly destination: TableName;
  /** Columns that change their name, and all others. */
  readonly columns: readonly { readonly source: string; readonly destination: string }[];
};

/**
 * The tables with their names on the destination. Throws `mapping-invalid` where two tables, or two columns of one,
 * would be called the same, naming both, and for names that PostgreSQL can't have.
 */
export function mapTables(mapping: Mapping, tables: readonly MappableTable[]): MappedTable[] {
  const taken = new Map<string, TableName>();
  return tables.map((source) => {
    const destination = mapping.table(source);
    if (
      Buffer.byteLength(destination.name) > MOST_BYTES ||
      Buffer.byteLength(destination.schema) > MOST_BYTES
    )
      checked(destination.name, source.name);
    const other = taken.get(keyOfTable(destination));
    if (other)
      throw invalid(
        `${text(other)} and ${text(source)} would both be called ${text(destination)} on the destination.`,
      );
    taken.set(keyOfTable(destination), source);
    return {
      source: { schema: source.schema, name: source.name },
      destination,
      columns: mapColumns(mapping, source),
    };
  });
}

function mapColumns(mapping: Mapping, table: MappableTable): MappedTable['columns'] {
  const taken = new Map<string, string>();
  return table.columns.map((source) => {
    const destination = mapping.column(table, source);
    const other = taken.get(destination);
    if (other !== undefined)
      throw invalid(
        `Columns ${other} and ${source} of ${text(table)} would both be called ${destination} on the destination.`,
      );
    taken.set(destination, source);
    return { source, destination };
  });
}

const text = ({ schema, name }: TableName): string => `${schema}.${name}`;

/** True if the other task's mapping leads exactly back, with every column. */
export const isInverse = (other: Mapping, { source, destination, columns }: MappedTable): boolean =>
  keyOfTable(other.table(destination)) === keyOfTable(source) &&
  columns.every((column) => other.column(destination, column.destination) === column.source);

/** The names that lead back: what the opposite task's `mapping.names` may hold. */
export function inverseNames(tables: readonly MappedTable[]): NameMapping['names'] {
  return tables.flatMap(({ source, destination, columns }) => {
    const at = { schema: destination.schema, table: destination.name };
    const moved = keyOfTable(source) !== keyOfTable(destination);
    const elsewhere = source.schema === destination.schema ? {} : { toSchema: source.schema };
    return [
      ...(moved ? [{ ...at, to: source.name, ...elsewhere }] : []),
      ...columns
        .filter((column) => column.source !== column.destination)
        .map((column) => ({ ...at, column: column.destination, to: column.source })),
    ];
  });
}
