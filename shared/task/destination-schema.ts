import { compileEtl } from '../etl/plan.ts';
import { type ColumnPlan, mapColumns } from '../postgres/schema/columns.ts';
import type { SchemaModel } from '../postgres/schema/model.ts';
import { objectsOf } from '../postgres/schema/model.ts';
import { renameModel } from '../postgres/schema/rename.ts';
import { choosesColumns, selectedColumns } from './columns.ts';
import { mappingOf } from './mapping.ts';
import type { TableName, TaskConfig } from './schema.ts';
import { keyOfTable } from './selection.ts';
import { nameOfOutput } from './table-etl.ts';
import { stepsOf } from './table-rules.ts';

/** The source's schema as the destination shall have it: selected columns only, everything under its name there. */
export function destinationModel(source: SchemaModel, { objects }: Pick<TaskConfig, 'objects'>): SchemaModel {
  const mapping = mappingOf(objects.mapping);
  const tables = new Map(objectsOf(source, 'table').map((table) => [keyOfTable(table), table]));
  const planOf = (root: TableName): ColumnPlan | undefined => {
    const steps = stepsOf(objects, root);
    const named = mapping.mapsColumns || choosesColumns(objects, root);
    if (!named && steps.length === 0) return undefined;
    const columns = tables.get(keyOfTable(root))?.columns ?? [];
    const kept = new Set(
      selectedColumns(
        objects,
        root,
        columns.map((column) => column.name),
        [],
      ),
    );
    const to = (column: string) => mapping.column(root, column);
    if (steps.length === 0) return { keeps: (column) => kept.has(column), to };
    const input = columns.filter((column) => kept.has(column.name) && !column.generated);
    const { output } = compileEtl(`${root.schema}.${root.name}`, steps, input, []);
    for (const column of columns) if (!column.generated) kept.delete(column.name);
    const names = new Map<string, string>();
    const types = new Map<string, string>();
    for (const column of output) {
      const name = column.input ?? column.name;
      kept.add(name);
      names.set(name, nameOfOutput(mapping, root, column));
      if (column.retyped) types.set(name, column.type);
    }
    return { keeps: (column) => kept.has(column), to: (column) => names.get(column) ?? to(column), types };
  };
  return renameModel(mapColumns(source, planOf), (kind, schema, name) =>
    kind === 'table' ? mapping.table({ schema, name }) : { schema: mapping.schema(schema), name },
  );
}
