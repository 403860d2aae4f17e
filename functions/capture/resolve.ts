import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { type ListedTable, listTables, readReplicaKeys } from '../../shared/postgres/catalog.ts';
import type { Queryable } from '../../shared/postgres/connect.ts';
import type { PreparedTable, TableName, TaskConfig } from '../../shared/task/schema.ts';
import { keyOfTable, missingNames, selectTables } from '../../shared/task/selection.ts';

/**
 * The tables that a configuration selects of a database as it is now. A partition is represented by
 * the topmost table above it that is selected.
 * Temporary and unlogged tables have no WAL to read, foreign ones no rows of their own: they are left out.
 */
export async function resolveTables(client: Queryable, config: TaskConfig): Promise<TableName[]> {
  const listed = await listTables(client as never);
  const byName = new Map(listed.map((each) => [keyOfTable(each), each]));
  const missing = missingNames(config.objects, listed);
  if (missing.length > 0)
    throw new PgtwinError('relation-unknown', {
      detail: `Not there on the source: ${namesOf(missing)}.`,
    });
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
  const chosen = selectTables(config.objects, tables);
  const names = new Set(chosen.map(keyOfTable));
  return chosen
    .filter((each) => !each.above.some((parent) => names.has(keyOfTable(parent))))
    .map(({ schema, name }) => ({ schema, name }));
}

/**
 * Adds the columns that name a row in the stream. A published table without them would make its users' own UPDATE
 * fail, so one is refused; `otherwise` knows the keys of tables whose primary key is yet to be built.
 */
export async function withKeys(
  client: Queryable,
  tables: readonly TableName[],
  otherwise: readonly PreparedTable[] = [],
): Promise<PreparedTable[]> {
  const keys = new Map(
    (await readReplicaKeys(client as never, tables)).map((each) => [keyOfTable(each), each.identityColumns]),
  );
  const others = new Map(otherwise.map((each) => [keyOfTable(each), each.key]));
  const found = tables.map(({ schema, name }) => {
    const at = keyOfTable({ schema, name });
    return { schema, name, key: [...(keys.get(at) ?? others.get(at) ?? [])] };
  });
  const without = found.filter((each) => each.key.length === 0);
  if (without.length > 0)
    throw new PgtwinError('no-replica-identity', {
      detail: `Rows can not be told apart by a key in: ${namesOf(without)}.`,
    });
  return found;
}

const SHOWN = 10;
const namesOf = (tables: readonly TableName[]): string =>
  tables
    .slice(0, SHOWN)
    .map((t) => `${t.schema}.${t.name}`)
    .join(', ') + (tables.length > SHOWN ? ` and ${tables.length - SHOWN} more` : '');
