import { compileEtl, type EtlOutput, type EtlPlan } from '../etl/plan.ts';
import type { Mapping } from './mapping.ts';
import type { PreparedTable, TableName, TaskConfig } from './schema.ts';
import { stepsOf } from './table-rules.ts';

/** The steps of a prepared table, compiled; undefined if it has none. The same for the full copy and for changes. */
export function etlOf(objects: TaskConfig['objects'], table: PreparedTable): EtlPlan | undefined {
  const steps = stepsOf(objects, table);
  if (steps.length === 0 || !table.columns || !table.types) return undefined;
  const input = table.columns.map((name, n) => ({ name, type: table.types![n]! }));
  return compileEtl(`${table.schema}.${table.name}`, steps, input, table.key);
}

/** What a column that comes of the steps is called on the destination: a name that a step gave stays. */
export const nameOfOutput = (mapping: Mapping, table: TableName, { name, source }: EtlOutput): string =>
  source === undefined ? name : mapping.column(table, source);
