import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { Queryable } from '../../shared/postgres/connect.ts';
import { mappingOf } from '../../shared/task/mapping.ts';
import type { PreparedTable, TaskConfig } from '../../shared/task/schema.ts';
import { keyOfTable } from '../../shared/task/selection.ts';
import { stepsOf } from '../../shared/task/table-rules.ts';
import { readColumns } from './copy-catalog.ts';

/**
 * With `conflictingTables: "ignore"`, of tables that are on the destination and lack columns there: only the columns
 * that both have. Tables with steps are left as they are: what comes of those must be there. Throws `column-missing`
 * for a key column that the destination lacks.
 */
export async function withSharedColumns(
  source: Queryable,
  destination: Queryable,
  config: TaskConfig,
  tables: readonly PreparedTable[],
): Promise<PreparedTable[]> {
  if (config.conflictingTables !== 'ignore') return [...tables];
  const mapping = mappingOf(config.objects.mapping);
  const [from, to] = await Promise.all([
    readColumns(source, tables),
    readColumns(destination, tables.map(mapping.table)),
  ]);
  return tables.map((table) => {
    const there = to.get(keyOfTable(mapping.table(table)));
    if (!there || stepsOf(config.objects, table).length > 0) return table;
    const names = new Set(there.flatMap((column) => (column.generated ? [] : [column.name])));
    const stored = (from.get(keyOfTable(table)) ?? []).flatMap((column) =>
      column.generated ? [] : [column.name],
    );
    const columns = table.columns ?? stored;
    const shared = columns.filter((column) => names.has(mapping.column(table, column)));
    if (shared.length === columns.length) return table;
    const lost = table.key.filter((column) => !shared.includes(column));
    if (lost.length > 0)
      throw new PgtwinError('column-missing', {
        detail: `${table.schema}.${table.name} on the destination lacks the key's ${lost.join(', ')}.`,
      });
    return { ...table, columns: shared, shared: true };
  });
}
