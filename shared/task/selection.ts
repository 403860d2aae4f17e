import type { z } from 'zod';
import type { ListedTable } from '../postgres/catalog.ts';
import type { objectSelection, TableName } from './schema.ts';

export type ObjectSelection = Pick<z.infer<typeof objectSelection>, 'include' | 'exclude'>;

/** A table of the catalogue; `root` is the topmost partitioned table that it is a partition of. */
export type SelectableTable = TableName & { readonly root?: TableName | undefined };

/** A name or a pattern of names, in which `*` stands for any run of characters, as a test. */
export function matcherOf(pattern: string): (name: string) => boolean {
  if (!pattern.includes('*')) return (name) => name === pattern;
  const parts = pattern.split('*').map((part) => part.replaceAll(/[\\^$.|?+()[\]{}]/g, '\\$&'));
  const expression = new RegExp(`^${parts.join('[^]*')}$`, 'u');
  return (name) => expression.test(name);
}

type Entry = { readonly schema: string; readonly table: string };

type Indexed<E> = {
  readonly exact: ReadonlyMap<string, readonly (readonly [number, E])[]>;
  readonly patterns: readonly (readonly [number, E, (table: TableName) => boolean])[];
};
const indexes = new WeakMap<readonly Entry[], Indexed<Entry>>();

/** The entries that speak of a table, in order. 5,000 of them may stand for 5,000 tables: names are looked up. */
export function entriesFor<E extends Entry>(entries: readonly E[], table: TableName): E[] {
  let index = indexes.get(entries) as Indexed<E> | undefined;
  if (!index) {
    index = indexOf(entries);
    indexes.set(entries, index);
  }
  const found = [
    ...(index.exact.get(keyOfTable(table)) ?? []),
    ...index.patterns.flatMap(([n, entry, fits]) => (fits(table) ? [[n, entry] as const] : [])),
  ];
  return found.sort(([one], [other]) => one - other).map(([, entry]) => entry);
}

function indexOf<E extends Entry>(entries: readonly E[]): Indexed<E> {
  const exact = new Map<string, [number, E][]>();
  const patterns: [number, E, (table: TableName) => boolean][] = [];
  for (const [n, entry] of entries.entries()) {
    const { schema, table } = entry;
    if (schema.includes('*') || table.includes('*')) {
      const [fitsSchema, fitsTable] = [matcherOf(schema), matcherOf(table)];
      patterns.push([n, entry, (each) => fitsSchema(each.schema) && fitsTable(each.name)]);
    } else {
      const key = keyOfTable({ schema, name: table });
      exact.set(key, [...(exact.get(key) ?? []), [n, entry]]);
    }
  }
  return { exact, patterns };
}

/** Names without patterns are looked up, so that 5,000 of them do not meet 5,000 tables one by one. */
function matcherOfEntries(entries: readonly Entry[]): (table: TableName) => boolean {
  const exact = new Set<string>();
  const patterns: ((table: TableName) => boolean)[] = [];
  for (const { schema, table } of entries) {
    if (!schema.includes('*') && !table.includes('*')) {
      exact.add(keyOfTable({ schema, name: table }));
    } else {
      const [matchesSchema, matchesTable] = [matcherOf(schema), matcherOf(table)];
      patterns.push((each) => matchesSchema(each.schema) && matchesTable(each.name));
    }
  }
  return (table) => exact.has(keyOfTable(table)) || patterns.some((matches) => matches(table));
}

/**
 * The tables that a selection names, in the order given; exclude wins. A partition is also selected, and excluded,
 * through its root: the root's name stands for all its partitions.
 */
export function selectTables<T extends SelectableTable>(
  selection: ObjectSelection,
  tables: readonly T[],
): T[] {
  const included = matcherOfEntries(selection.include);
  const excluded = matcherOfEntries(selection.exclude);
  const byNameOrRoot = (matches: (table: TableName) => boolean, table: T): boolean =>
    matches(table) || (table.root !== undefined && matches(table.root));
  return tables.filter((table) => byNameOrRoot(included, table) && !byNameOrRoot(excluded, table));
}

/**
 * The tables that a selection takes of a database. A partition is represented by the topmost table above it that is
 * selected. Temporary and unlogged tables have no WAL to read, foreign ones no rows of their own: they are left out.
 */
export function carriedTables(selection: ObjectSelection, listed: readonly ListedTable[]): TableName[] {
  const byName = new Map(listed.map((each) => [keyOfTable(each), each]));
  const above = (table: ListedTable): TableName[] => {
    const found: TableName[] = [];
    let parent = table.partitionOf;
    while (parent) {
      found.push(parent);
      parent = byName.get(keyOfTable(parent))?.partitionOf ?? null;
    }
    return found;
  };
  const tables = listed
    .filter((each) => each.persistence === 'permanent' && each.kind !== 'foreign')
    .map((each) => ({ ...each, above: above(each), root: above(each).at(-1) }));
  const chosen = selectTables(selection, tables);
  const names = new Set(chosen.map(keyOfTable));
  return chosen
    .filter((each) => !each.above.some((parent) => names.has(keyOfTable(parent))))
    .map(({ schema, name }) => ({ schema, name }));
}

/** Entries of `include` without a pattern that no table answers to: names that are not there. */
export function missingNames(selection: ObjectSelection, tables: readonly TableName[]): TableName[] {
  const there = new Set(tables.map(keyOfTable));
  return selection.include
    .filter(({ schema, table }) => !schema.includes('*') && !table.includes('*'))
    .map(({ schema, table }) => ({ schema, name: table }))
    .filter((name) => !there.has(keyOfTable(name)));
}

/** A key for maps: no PostgreSQL name can hold the separator. */
export const keyOfTable = ({ schema, name }: TableName): string => `${schema}\0${name}`;

/** Gives each partition its root, from a list in which it names the table that it is a partition of. */
export function withRoots<T extends TableName & { readonly partitionOf: TableName | null }>(
  tables: readonly T[],
): (T & SelectableTable)[] {
  const parents = new Map(tables.map((table) => [keyOfTable(table), table.partitionOf]));
  return tables.map((table) => {
    let root = table.partitionOf;
    for (let above = root && parents.get(keyOfTable(root)); above; above = parents.get(keyOfTable(above)))
      root = above;
    return root ? { ...table, root } : table;
  });
}
