import { qualified } from '../../shared/postgres/ident.ts';
import { mappingOf } from '../../shared/task/mapping.ts';
import type { PreparedTable, TaskConfig } from '../../shared/task/schema.ts';
import { isPartial, operationsOf } from '../../shared/task/table-rules.ts';
import type { ApplyTable } from './tables.ts';

/**
 * Which tables both tasks carry alike: the opposite one leads from the same table with the same key exactly back, with
 * the same columns, all rows as they are and all operations. Asked once per table.
 */
export function mirroredBy(
  own: TaskConfig,
  prepared: readonly PreparedTable[],
  opposite: { readonly config: TaskConfig; readonly prepared: readonly PreparedTable[] } | undefined,
): (table: ApplyTable) => boolean {
  if (!opposite) return () => false;
  const back = mappingOf(opposite.config.objects.mapping);
  const mine = new Map(prepared.map((t) => [qualified(t.schema, t.name), t]));
  const theirs = new Map(opposite.prepared.map((t) => [qualified(t.schema, t.name), t]));
  const isMirrored = (table: ApplyTable): boolean => {
    const { source } = table;
    const here = mine.get(qualified(source.schema, source.name));
    const other = theirs.get(table.sql);
    if (!here || !other) return false;
    if (isPartial(own.objects, source) || isPartial(opposite.config.objects, table.relation)) return false;
    if (!isWhole(operationsOf(own, source)) || !isWhole(operationsOf(opposite.config, table.relation)))
      return false;
    const { schema, name } = back.table(other);
    if (schema !== source.schema || name !== source.name) return false;
    const placed = new Map(source.columns.map((column, n) => [column.name, table.columns[n]!]));
    if (
      !sameList(
        here.key.map((column) => placed.get(column) ?? column),
        other.key,
      )
    )
      return false;
    if (!source.columns.every((column) => back.column(other, placed.get(column.name)!) === column.name))
      return false;
    if (!here.columns && !other.columns) return true;
    return sameList([...table.columns].sort(), [...(other.columns ?? table.columnsHere)].sort());
  };
  const known = new WeakMap<ApplyTable, boolean>();
  return (table) => {
    let mirrored = known.get(table);
    if (mirrored === undefined) {
      mirrored = isMirrored(table);
      known.set(table, mirrored);
    }
    return mirrored;
  };
}

const isWhole = (operations: TaskConfig['operations']): boolean => Object.values(operations).every(Boolean);

const sameList = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && one.every((each, n) => each === other[n]);
