import type { z } from 'zod';
import type { PreviewObjectsBody, previewObjectsView } from '../../shared/client/contract.ts';
import { compileEtl } from '../../shared/etl/plan.ts';
import { listTables, readReplicaKeys } from '../../shared/postgres/catalog.ts';
import { selectedColumns } from '../../shared/task/columns.ts';
import { inverseNames, mappingOf, mapTables } from '../../shared/task/mapping.ts';
import { targetOf } from '../../shared/task/ports.ts';
import { type Direction, type Pair, sourceOf, type TaskConfig } from '../../shared/task/schema.ts';
import { selectTables, withRoots } from '../../shared/task/selection.ts';
import { nameOfOutput } from '../../shared/task/table-etl.ts';
import { filterOf, stepsOf } from '../../shared/task/table-rules.ts';
import { readCondition } from '../../shared/task/where.ts';
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
    const mapping = mappingOf(objects.mapping);
    const chosen = tables.map((table) => {
      const stored = table.columns.filter((column) => !column.generated);
      const key = table.identityColumns ?? [];
      const names = new Set(
        selectedColumns(
          objects,
          table,
          stored.map((column) => column.name),
          key,
        ),
      );
      return { ...table, key, columns: stored.filter((column) => names.has(column.name)) };
    });
    const mapped = mapTables(
      mapping,
      chosen.map((table) => ({ ...table, columns: table.columns.map((column) => column.name) })),
    );
    for (const table of tables) {
      const where = filterOf(objects, table);
      if (where !== undefined) await readCondition(where);
    }
    const madeOf = (n: number) => {
      const table = chosen[n]!;
      const steps = stepsOf(objects, table);
      if (steps.length === 0) return [...mapped[n]!.columns];
      const { output } = compileEtl(`${table.schema}.${table.name}`, steps, table.columns, table.key);
      return output.map((column) => ({
        source: column.input ?? null,
        destination: nameOfOutput(mapping, table, column),
      }));
    };
    return {
      count: mapped.length,
      tables: mapped.map((each, n) => ({ ...each, columns: madeOf(n) })),
      inverse: inverseNames(mapped),
    };
  } finally {
    await client.end().catch(() => {});
  }
}
