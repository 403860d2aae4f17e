import type { z } from 'zod';
import type { PreviewObjectsBody, previewObjectsView } from '../../shared/client/contract.ts';
import { listTables, readReplicaKeys } from '../../shared/postgres/catalog.ts';
import { selectedColumns } from '../../shared/task/columns.ts';
import { inverseNames, mappingOf, mapTables } from '../../shared/task/mapping.ts';
import { targetOf } from '../../shared/task/ports.ts';
import { type Direction, type Pair, sourceOf, type TaskConfig } from '../../shared/task/schema.ts';
import { selectTables, withRoots } from '../../shared/task/selection.ts';
import { open } from './connectivity.ts';
import { type ApiDeps, connectTimeoutOf } from './deps.ts';

/** The tables and columns that a configuration selects today, and their names on the destination. Stores nothing. */
export async function previewObjects(
  deps: ApiDeps,
  pair: Pair,
  { forward, reverse }: PreviewObjectsBody,
): Promise<z.infer<typeof previewObjectsView>> {
  const [there, back] = await Promise.all([
    readObjects(deps, pair, 'forward', forward.objects),
    reverse && readObjects(deps, pair, 'reverse', reverse.objects),
  ]);
  return { forward: there, ...(back ? { reverse: back } : {}) };
}

async function readObjects(deps: ApiDeps, pair: Pair, direction: Direction, objects: TaskConfig['objects']) {
  const side = sourceOf(direction);
  const target = await targetOf(pair.sides[side], deps.secrets);
  const client = await open(target, { field: `sides.${side}`, timeoutMs: connectTimeoutOf(deps) });
  try {
    const listed = (await listTables(client)).filter((table) => !table.extension);
    const tables = await readReplicaKeys(client, selectTables(objects, withRoots(listed)));
    const mapped = mapTables(
      mappingOf(objects.mapping),
      tables.map((table) => {
        const all = table.columns.flatMap((column) => (column.generated ? [] : [column.name]));
        return { ...table, columns: selectedColumns(objects, table, all, table.identityColumns ?? []) };
      }),
    );
    return {
      count: mapped.length,
      tables: mapped.map((each) => ({ ...each, columns: [...each.columns] })),
      inverse: inverseNames(mapped),
    };
  } finally {
    await client.end().catch(() => {});
  }
}
