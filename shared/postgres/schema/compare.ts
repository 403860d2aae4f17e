import {
  type ColumnModel,
  type ConstraintModel,
  keyOf,
  type ObjectName,
  objectsOf,
  type SchemaModel,
  type TableModel,
  type TypeModel,
} from './model.ts';

/** `error`: the destination may refuse, or lose, what the source holds; `note`: they differ and rows still fit. */
export type Difference = ObjectName & {
  readonly severity: 'error' | 'note';
  readonly kind: 'table' | 'column' | 'key' | 'constraint' | 'type' | 'sequence';
  readonly column: string | null;
  /** Names schema.table.column and what differs. */
  readonly text: string;
};

/** How the destination differs from the source (renamed, if names are mapped) where both should be the same. */
export function compareSchemas(source: SchemaModel, destination: SchemaModel): Difference[] {
  const tables = new Map(objectsOf(destination, 'table').map((each) => [keyOf(each), each]));
  const types = new Map(objectsOf(destination, 'type').map((each) => [keyOf(each), each]));
  return [
    ...objectsOf(source, 'type').flatMap((type) => compareTypes(type, types.get(keyOf(type)))),
    ...objectsOf(source, 'table').flatMap((table) => {
      const there = tables.get(keyOf(table));
      return there ? compareTables(table, there) : [missingTable(table)];
    }),
  ];
}

const missingTable = ({ schema, name }: TableModel): Difference => ({
  severity: 'error',
  kind: 'table',
  schema,
  name,
  column: null,
  text: `${schema}.${name} does not exist on the destination`,
});

type Say = (severity: Difference['severity'], what: string) => void;

function compareTables(source: TableModel, destination: TableModel): Difference[] {
  const differences: Difference[] = [];
  const { schema, name } = source;
  const say = (kind: Difference['kind'], column: string | null): Say => {
    return (severity, what) => {
      const path = column === null ? `${schema}.${name}` : `${schema}.${name}.${column}`;
      differences.push({ severity, kind, schema, name, column, text: `${path} ${what}` });
    };
  };
  if (source.form !== destination.form) {
    say('table', null)(
      destination.form === 'foreign' ? 'error' : 'note',
      `is ${destination.form} on the destination, ${source.form} on the source`,
    );
  }
  const there = new Map(destination.columns.map((each) => [each.name, each]));
  for (const column of source.columns) {
    const other = there.get(column.name);
    if (other) compareColumns(column, other, say('column', column.name));
    else if (column.generated)
      say('column', column.name)('note', 'is generated and missing on the destination');
    else say('column', column.name)('error', 'is missing on the destination');
  }
  const here = new Set(source.columns.map((each) => each.name));
  for (const column of destination.columns) {
    if (here.has(column.name)) continue;
    const fills = column.default !== null || column.identity !== null || column.generated !== null;
    if (column.notNull && !fills) {
      say('column', column.name)('error', 'is only on the destination, NOT NULL and without default');
    } else say('column', column.name)('note', 'is only on the destination');
  }
  compareKeys(source, destination, say('key', null));
  compareConstraints(source, destination, say('constraint', null));
  return differences;
}

/** A text with the quotes left out where names need none: mapped names come quoted, PostgreSQL's own only if need be. */
const plain = (text: string | null): string | null => text?.replace(/"([a-z_][a-z0-9_]*)"/g, '$1') ?? null;

/** Anything as text that is the same for the same thing; comments do not count. */
function canonical(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(plain(value));
  if (typeof value !== 'object' || value === null) return String(value);
  return `{${Object.entries(value)
    .filter(([key]) => key !== 'comment')
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, each]) => `${key}:${canonical(each)}`)
    .join()}}`;
}

/** Types whose every value, as text, is a value of the later ones. */
const widening = [
  ['smallint', 'integer', 'bigint', 'numeric'],
  ['real', 'double precision'],
];

function isWider(from: string, to: string): boolean {
  if (widening.some((chain) => chain.includes(from) && chain.indexOf(to) > chain.indexOf(from))) return true;
  const length = (type: string) => /^character varying(?:\((\d+)\))?$/.exec(type);
  const a = length(from);
  if (!a) return false;
  const b = length(to);
  return to === 'text' || (b !== null && (b[1] === undefined || Number(b[1]) >= Number(a[1] ?? Infinity)));
}

const nameOrDefault = (collation: ObjectName | null): string =>
  collation ? `${collation.schema}.${collation.name}` : 'default';

function compareColumns(source: ColumnModel, destination: ColumnModel, say: Say): void {
  if (plain(source.type) !== plain(destination.type)) {
    const wider = isWider(source.type, destination.type);
    say(wider ? 'note' : 'error', `is ${destination.type} on the destination, ${source.type} on the source`);
  }
  if (
    source.generated !== destination.generated ||
    (source.generated && plain(source.default) !== plain(destination.default))
  ) {
    // A generated column's values are not in the stream, so both must be generated; how is for them to say.
    const both = source.generated !== null && destination.generated !== null;
    const how = (each: ColumnModel) =>
      each.generated ? `generated ${each.generated} as ${each.default}` : 'not generated';
    say(both ? 'note' : 'error', `is ${how(destination)} on the destination, ${how(source)} on the source`);
  } else if (plain(source.default) !== plain(destination.default)) {
    say(
      'note',
      `has default ${destination.default ?? 'none'} on the destination, ${source.default ?? 'none'} on the source`,
    );
  }
  if (source.identity !== destination.identity) {
    const how = (each: ColumnModel) => (each.identity ? `identity ${each.identity}` : 'no identity');
    say('note', `is ${how(destination)} on the destination, ${how(source)} on the source`);
  }
  if (destination.notNull && !source.notNull) say('error', 'is NOT NULL on the destination only');
  if (source.notNull && !destination.notNull) say('note', 'is NOT NULL on the source only');
  const collations = [nameOrDefault(source.collation), nameOrDefault(destination.collation)];
  if (collations[0] !== collations[1]) {
    say('note', `has collation ${collations[1]} on the destination, ${collations[0]} on the source`);
  }
}

/** A unique key by what it holds unique, not by its name. */
function uniqueKeysOf(table: TableModel): Map<string, string> {
  const keys = new Map<string, string>();
  for (const each of table.constraints) {
    if (each.type === 'primary') continue;
    if (each.type === 'unique' || each.type === 'exclude') keys.set(uniqueText(each.definition), each.name);
  }
  for (const index of table.indexes)
    if (index.unique) keys.set(asConstraint(uniqueText(index.definition)), index.name);
  return keys;
}

const uniqueText = (definition: string): string =>
  plain(definition)!.replace(/ (NOT DEFERRABLE|DEFERRABLE|INITIALLY DEFERRED)| WITH \([^()]*\)/g, '');
/** An index on plain columns holds the same unique as a constraint does. */
const asConstraint = (definition: string): string =>
  /^btree \((?:"(?:[^"]|"")*"|[^"() ])(?:"(?:[^"]|"")*"|[^"() ]|, )*\)( NULLS NOT DISTINCT)?$/.test(
    definition,
  )
    ? definition.replace(
        /^btree (\(.*\))( NULLS NOT DISTINCT)?$/,
        (_, columns, nulls) => `UNIQUE${nulls ?? ''} ${columns}`,
      )
    : definition;

function compareKeys(source: TableModel, destination: TableModel, say: Say): void {
  const primary = (table: TableModel): string | null =>
    table.constraints.find((each) => each.type === 'primary')?.columns.join(', ') ?? null;
  const [from, to] = [primary(source), primary(destination)];
  if (from !== to) {
    say('error', `has primary key (${to ?? 'none'}) on the destination, (${from ?? 'none'}) on the source`);
  }
  const here = uniqueKeysOf(source);
  const there = uniqueKeysOf(destination);
  for (const [key, name] of here) {
    if (!there.has(key)) say('note', `has the unique key ${name}, ${key}, on the source only`);
  }
  for (const [key, name] of there) {
    if (!here.has(key)) say('error', `has the unique key ${name}, ${key}, on the destination only`);
  }
}

const hasText = (definitions: ReadonlyMap<string, string>, wanted: string): boolean =>
  [...definitions.values()].some((each) => plain(each) === plain(wanted));

function compareConstraints(source: TableModel, destination: TableModel, say: Say): void {
  const own = (table: TableModel, type: ConstraintModel['type']) =>
    new Map(
      table.constraints.filter((each) => each.type === type).map((each) => [each.name, each.definition]),
    );
  for (const type of ['check', 'foreign'] as const) {
    const what = type === 'check' ? 'check' : 'foreign key';
    const here = own(source, type);
    const there = own(destination, type);
    for (const [name, definition] of here) {
      const other = there.get(name);
      if (other === undefined) {
        if (!hasText(there, definition)) say('note', `has the ${what} ${name} on the source only`);
      } else if (plain(other) !== plain(definition)) {
        say('note', `has the ${what} ${name} as ${other} on the destination, ${definition} on the source`);
      }
    }
    for (const [name, definition] of there) {
      if (here.has(name) || hasText(here, definition)) continue;
      // Checks hold for replicated rows as well, foreign keys do not.
      say(
        type === 'check' ? 'error' : 'note',
        `has the ${what} ${name}, ${definition}, on the destination only`,
      );
    }
  }
}

function compareTypes(source: TypeModel, destination: TypeModel | undefined): Difference[] {
  const { schema, name } = source;
  const of = (severity: Difference['severity'], what: string): Difference => ({
    severity,
    kind: 'type',
    schema,
    name,
    column: null,
    text: `${schema}.${name} ${what}`,
  });
  if (!destination) return [of('error', 'does not exist on the destination')];
  if (source.form === 'enum' && destination.form === 'enum') {
    const missing = source.labels.filter((each) => !destination.labels.includes(each));
    const extra = destination.labels.filter((each) => !source.labels.includes(each));
    return [
      ...(missing.length > 0
        ? [of('error', `lacks the labels ${missing.join(', ')} on the destination`)]
        : []),
      ...(extra.length > 0 ? [of('note', `has the labels ${extra.join(', ')} on the destination only`)] : []),
    ];
  }
  if (source.form !== destination.form) {
    return [
      of('error', `is a ${destination.form} type on the destination, a ${source.form} type on the source`),
    ];
  }
  return canonical(source) === canonical(destination)
    ? []
    : [of(source.form === 'domain' ? 'note' : 'error', `is defined differently on the destination`)];
}
