import { mappingOf } from '../task/mapping.ts';
import type { Direction, PreparedTable, Side, TableName, TaskConfig } from '../task/schema.ts';
import { keyOfTable, selectTables } from '../task/selection.ts';
import { filterOf, isPartial, operationsOf, stepsOf } from '../task/table-rules.ts';
import type { Way } from './compare.ts';

/** A task as far as its tables are concerned. */
export type TaskTables = { readonly config: TaskConfig; readonly list: readonly PreparedTable[] };

/** A table that both sides have, and what it is called on each. */
export type TwinName = {
  readonly names: Readonly<Record<Side, TableName>>;
  /** Which columns of the two are the same, by side a's name; those that are not synchronized are left out. */
  readonly pairUp: (ofA: readonly string[], ofB: readonly string[]) => ReadonlyMap<string, string>;
  /** Columns of the key by which its rows are matched, in the same order. */
  readonly key: Readonly<Record<Side, readonly string[]>>;
  readonly way: Way;
  /** Both tasks carry it, and know its rows by the same key. */
  readonly mirrored: boolean;
};

/**
 * The tables of a pair with their names on both sides, in the order of side a's names; those whose rows are filtered or
 * changed on the way are left out, since they may differ, unless `partial` asks for them. The one place that knows how the names of one side become those of the other.
 */
export function twinNames(
  forward: TaskTables | undefined,
  reverse: TaskTables | undefined,
  { partial = false }: { readonly partial?: boolean } = {},
): TwinName[] {
  const comparable = (tables: TaskTables | undefined): PreparedTable[] =>
    tables ? tables.list.filter((table) => partial || !isPartial(tables.config.objects, table)) : [];
  const twins = new Map<string, TwinName>();
  for (const table of comparable(forward)) {
    const { there, column } = namesThere(forward!.config, table);
    const pairUp: TwinName['pairUp'] = (ofA, ofB) => pairs(chosen(table, ofA), ofB, column);
    const key = { a: table.key, b: table.key.map(column) };
    const twin = {
      names: { a: nameOf(table), b: there },
      key,
      pairUp,
      way: 'forward',
      mirrored: false,
    } as const;
    twins.set(idOf(twin), twin);
  }
  for (const table of comparable(reverse)) {
    const { there, column } = namesThere(reverse!.config, table);
    const names = { a: there, b: nameOf(table) };
    const known = twins.get(idOf({ names }));
    if (known) {
      const mirrored =
        sameList(known.key.b, table.key) && isWhole(forward!, names.a) && isWhole(reverse!, names.b);
      const back = namesThere(forward!.config, { ...table, ...names.a });
      const exact = (table.columns ?? []).every((name) => back.column(column(name)) === name);
      twins.set(idOf(known), { ...known, way: 'both', mirrored: mirrored && exact });
      continue;
    }
    const pairUp: TwinName['pairUp'] = (ofA, ofB) =>
      new Map([...pairs(chosen(table, ofB), ofA, column)].map(([b, a]) => [a, b]));
    const key = { a: table.key.map(column), b: table.key };
    twins.set(idOf({ names }), { names, key, pairUp, way: 'reverse', mirrored: false });
  }
  const ordered = [...twins.values()].map((twin) => [keyOfTable(twin.names.a), twin] as const);
  return ordered.sort(([one], [other]) => (one < other ? -1 : 1)).map(([, twin]) => twin);
}

/** A table that is not compared, and why. */
export type SkippedTwin = Pick<TwinName, 'names' | 'way'> & { readonly reason: string };

/** The tables whose rows may rightly differ on the two sides, whichever way they go. */
export function skippedTwins(
  forward: TaskTables | undefined,
  reverse: TaskTables | undefined,
): SkippedTwin[] {
  const compared = new Set(twinNames(forward, reverse).map(idOf));
  return twinNames(forward, reverse, { partial: true })
    .filter((twin) => !compared.has(idOf(twin)))
    .map(({ names, way }) => {
      const why = [...reasonOf('forward', forward, names.a), ...reasonOf('reverse', reverse, names.b)].join(
        ' and ',
      );
      return { names, way, reason: `Not compared, for its rows may rightly differ: ${why}.` };
    });
}

function reasonOf(direction: Direction, tables: TaskTables | undefined, source: TableName): string[] {
  if (!tables?.list.some((each) => keyOfTable(each) === keyOfTable(source))) return [];
  const { objects } = tables.config;
  const does = [
    ...(filterOf(objects, source) === undefined ? [] : ['leaves rows out by a filter']),
    ...(stepsOf(objects, source).length === 0 ? [] : ['changes rows by ETL steps']),
  ];
  return does.length === 0 ? [] : [`the ${direction} task ${does.join(' and ')}`];
}

const idOf = ({ names }: Pick<TwinName, 'names'>) => `${keyOfTable(names.a)}\0\0${keyOfTable(names.b)}`;

const isWhole = ({ config }: TaskTables, table: TableName): boolean =>
  Object.values(operationsOf(config, table)).every(Boolean);

const nameOf = ({ schema, name }: TableName): TableName => ({ schema, name });

function namesThere({ objects }: TaskConfig, table: PreparedTable) {
  const mapping = mappingOf(objects.mapping);
  return { there: mapping.table(table), column: (name: string) => mapping.column(table, name) };
}

const chosen = ({ columns }: PreparedTable, names: readonly string[]): string[] =>
  names.filter((name) => columns?.includes(name) ?? true);

function pairs(from: readonly string[], to: readonly string[], named: (name: string) => string) {
  const there = new Set(to);
  return new Map(from.map((name) => [name, named(name)] as const).filter(([, name]) => there.has(name)));
}

/** Those of the tables that are named; all if none are. */
export function chosenTwins<Twin extends Pick<TwinName, 'names'>>(
  all: readonly Twin[],
  tables: readonly { schema: string; table: string }[] | undefined,
): Twin[] {
  if (!tables) return [...all];
  const selection = { include: [...tables], exclude: [] };
  const names = selectTables(
    selection,
    all.map(({ names: { a } }) => a),
  );
  const wanted = new Set(names.map(keyOfTable));
  return all.filter(({ names: { a } }) => wanted.has(keyOfTable(a)));
}

const sameList = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && one.every((each, n) => each === other[n]);
