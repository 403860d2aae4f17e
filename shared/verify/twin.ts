import type { PreparedTable, Side, TableName, TaskConfig } from '../task/schema.ts';
import { keyOfTable, selectTables } from '../task/selection.ts';
import type { Way } from './compare.ts';

/** A task as far as its tables are concerned. */
export type TaskTables = { readonly config: TaskConfig; readonly list: readonly PreparedTable[] };

/** A table that both sides have, and what it is called on each. */
export type TwinName = {
  readonly names: Readonly<Record<Side, TableName>>;
  /** Columns of the key by which its rows are matched. */
  readonly key: Readonly<Record<Side, readonly string[]>>;
  readonly way: Way;
  /** Both tasks carry it, and know its rows by the same key. */
  readonly mirrored: boolean;
};

/**
 * The tables of a pair with their names on both sides, in the order of side a's names. The one place that knows how
 * the names of one side become those of the other.
 */
export function twinNames(forward: TaskTables | undefined, reverse: TaskTables | undefined): TwinName[] {
  const twins = new Map<string, TwinName>();
  for (const { schema, name, key } of forward?.list ?? []) {
    const table = { schema, name };
    twins.set(keyOfTable(table), twinOf(table, key, 'forward'));
  }
  for (const { schema, name, key } of reverse?.list ?? []) {
    const table = { schema, name };
    const known = twins.get(keyOfTable(table));
    const mirrored = known !== undefined && sameList(known.key.b, key);
    twins.set(keyOfTable(table), known ? { ...known, way: 'both', mirrored } : twinOf(table, key, 'reverse'));
  }
  const ordered = [...twins.values()].map((twin) => [keyOfTable(twin.names.a), twin] as const);
  return ordered.sort(([one], [other]) => (one < other ? -1 : 1)).map(([, twin]) => twin);
}

/** Those of the tables that are named; all if none are. */
export function chosenTwins(
  all: readonly TwinName[],
  tables: readonly { schema: string; table: string }[] | undefined,
): TwinName[] {
  if (!tables) return [...all];
  const selection = { include: [...tables], exclude: [] };
  const names = selectTables(
    selection,
    all.map(({ names: { a } }) => a),
  );
  const wanted = new Set(names.map(keyOfTable));
  return all.filter(({ names: { a } }) => wanted.has(keyOfTable(a)));
}

const twinOf = (table: TableName, key: readonly string[], way: Way): TwinName => ({
  names: { a: table, b: table },
  key: { a: key, b: key },
  way,
  mirrored: false,
});

const sameList = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && one.every((each, n) => each === other[n]);
