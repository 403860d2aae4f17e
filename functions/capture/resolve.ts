import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { listTables, type ReplicaKeys, readReplicaKeys } from '../../shared/postgres/catalog.ts';
import type { Queryable } from '../../shared/postgres/connect.ts';
import { readForeignKeys, signatureOf } from '../../shared/postgres/foreign-keys.ts';
import { choosesColumns, selectedColumns } from '../../shared/task/columns.ts';
import { mappingOf } from '../../shared/task/mapping.ts';
import type { PreparedTable, TableName, TaskConfig } from '../../shared/task/schema.ts';
import { carriedTables, keyOfTable, missingNames } from '../../shared/task/selection.ts';
import { filterOf, stepsOf } from '../../shared/task/table-rules.ts';
import { readCondition } from '../../shared/task/where.ts';

/** The tables that a configuration selects of a database as it is now (`carriedTables`). */
export async function resolveTables(client: Queryable, config: TaskConfig): Promise<TableName[]> {
  const listed = await listTables(client as never);
  const missing = missingNames(config.objects, listed);
  if (missing.length > 0)
    throw new PgtwinError('relation-unknown', {
      detail: `Not there on the source: ${namesOf(missing)}.`,
    });
  return carriedTables(config.objects, listed);
}

/**
 * Adds the columns that name a row in the stream, and which columns are synchronized where a choice is made. A
 * published table without its key would make its users' own UPDATE fail, so one is refused; `otherwise` knows the keys
 * of tables whose primary key is yet to be built. Tables that `mayLack` a key are left out without one.
 */
export async function withKeys(
  client: Queryable,
  tables: readonly TableName[],
  config: TaskConfig,
  otherwise: readonly PreparedTable[] = [],
  mayLack: (table: TableName) => boolean = () => false,
): Promise<PreparedTable[]> {
  const read = new Map(
    (await readReplicaKeys(client as never, tables)).map((each) => [keyOfTable(each), each]),
  );
  const references = new Map<string, string[]>();
  for (const key of await readForeignKeys(client, tables)) {
    const child = keyOfTable(key.child);
    references.set(child, [...(references.get(child) ?? []), signatureOf(key)]);
  }
  const others = new Map(otherwise.map((each) => [keyOfTable(each), each.key]));
  const found = await Promise.all(
    tables.map(async ({ schema, name }): Promise<PreparedTable> => {
      const at = keyOfTable({ schema, name });
      const there = read.get(at);
      const key = [...(there?.identityColumns ?? others.get(at) ?? [])];
      const own = references.get(at);
      const rest = own ? { references: own } : {};
      return {
        schema,
        name,
        key,
        ...rest,
        ...(there && key.length > 0 ? await chosenOf(there, key, config) : {}),
      };
    }),
  );
  const without = found.filter((each) => each.key.length === 0 && !mayLack(each));
  if (without.length > 0)
    throw new PgtwinError('no-replica-identity', {
      detail: `Rows can not be told apart by a key in: ${namesOf(without)}.`,
    });
  return found.filter((each) => each.key.length > 0);
}

/**
 * What is chosen of a table: its columns, where not all are taken or they get other names (apply has to know them
 * without the stream), its condition, and what of both the publication takes exactly.
 */
async function chosenOf(
  table: ReplicaKeys,
  key: readonly string[],
  { objects }: TaskConfig,
): Promise<Omit<PreparedTable, 'schema' | 'name' | 'key'>> {
  const where = filterOf(objects, table);
  const steps = stepsOf(objects, table);
  const named = mappingOf(objects.mapping).mapsColumns;
  if (!choosesColumns(objects, table) && !named && where === undefined && steps.length === 0) return {};
  const stored = table.columns.filter((column) => !column.generated);
  const all = stored.map((column) => column.name);
  const columns = selectedColumns(objects, table, all, key);
  const typeOf = new Map(stored.map((column) => [column.name, column.type]));
  // With another identity the list would not cover it, and the users' own UPDATE would fail.
  const exact =
    table.kind === 'ordinary' && (table.replicaIdentity === 'default' || table.replicaIdentity === 'index');
  const condition = where === undefined ? undefined : await readCondition(where);
  const isPublished =
    exact &&
    condition?.simple === true &&
    condition.columns.every((column) => key.includes(column) && builtIn.test(typeOf.get(column) ?? '.'));
  const needed = all.filter((column) => columns.includes(column) || condition?.columns.includes(column));
  const publish = {
    ...(exact && needed.length < all.length ? { columns: needed } : {}),
    ...(isPublished ? { where: where! } : {}),
  };
  const filter = where !== undefined &&
    !isPublished && {
      where,
      columns: condition!.columns.map((name) => ({ name, type: typeOf.get(name) ?? 'text' })),
    };
  return {
    columns,
    ...(steps.length > 0 ? { types: columns.map((column) => typeOf.get(column)!) } : {}),
    ...(filter ? { filter } : {}),
    ...(Object.keys(publish).length > 0 ? { publish } : {}),
  };
}

/** Types of users are printed with their schema; publications take none of them. */
const builtIn = /^[^."]+$/;

const SHOWN = 10;
const namesOf = (tables: readonly TableName[]): string =>
  tables
    .slice(0, SHOWN)
    .map((t) => `${t.schema}.${t.name}`)
    .join(', ') + (tables.length > SHOWN ? ` and ${tables.length - SHOWN} more` : '');
