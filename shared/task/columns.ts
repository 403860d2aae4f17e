import { PgtwinError } from '../errors/pgtwin-error.ts';
import type { TableName, TaskConfig } from './schema.ts';
import { entriesFor, matcherOf } from './selection.ts';

type Objects = TaskConfig['objects'];

/** True if columns of the table are chosen one by one. */
export const choosesColumns = (objects: Objects, table: TableName): boolean =>
  selectionsOf(objects, table).length > 0;

const selectionsOf = (objects: Objects, table: TableName): Objects['columns'] =>
  entriesFor(objects.columns, table);

/**
 * The columns of a table that are synchronized, in its order: exclude wins, and what no entry of `columns` speaks of is
 * taken whole. Throws `columns-invalid` if a key column is left out, or a name is not there.
 */
export function selectedColumns(
  objects: Objects,
  table: TableName,
  columns: readonly string[],
  key: readonly string[],
): string[] {
  const selections = selectionsOf(objects, table);
  if (selections.length === 0) return [...columns];
  const name = `${table.schema}.${table.name}`;
  const included = selections.flatMap((each) => each.include ?? []);
  const excluded = selections.flatMap((each) => each.exclude);
  // A name in an entry for many tables need not be in each of them.
  const exact = selections.filter((each) => !each.table.includes('*') && !each.schema.includes('*'));
  for (const asked of exact.flatMap((each) => [...(each.include ?? []), ...each.exclude]))
    if (!asked.includes('*') && !columns.includes(asked))
      throw new PgtwinError('columns-invalid', { detail: `${name} has no column ${asked}.` });
  const [isIncluded, isExcluded] = [included, excluded].map((list) => {
    const matchers = list.map(matcherOf);
    return (column: string) => matchers.some((matches) => matches(column));
  });
  const all = selections.some((each) => each.include === undefined) && included.length === 0;
  const chosen = columns.filter((column) => (all || isIncluded!(column)) && !isExcluded!(column));
  const missing = key.filter((column) => !chosen.includes(column));
  if (missing.length > 0)
    throw new PgtwinError('columns-invalid', {
      detail: `${missing.join(', ')} of ${name} can not be left out: rows are told apart by ${key.join(', ')}.`,
    });
  return chosen;
}
