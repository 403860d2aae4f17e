import type { EtlStep } from '../etl/steps.ts';
import type { TableName, TaskConfig } from './schema.ts';
import { entriesFor } from './selection.ts';

type Objects = TaskConfig['objects'];
/** The operations that are synchronized of a table: its own over the task's. */
export function operationsOf(
  { operations, objects }: Pick<TaskConfig, 'operations' | 'objects'>,
  table: TableName,
): TaskConfig['operations'] {
  const own = { ...operations };
  for (const entry of entriesFor(objects.operations, table))
    for (const operation of ['insert', 'update', 'delete', 'truncate'] as const)
      own[operation] = entry[operation] ?? own[operation];
  return own;
}

/** The condition for a table's rows, in SQL. */
export const filterOf = (objects: Objects, table: TableName): string | undefined =>
  entriesFor(objects.filters, table).at(-1)?.where;

/** What is done to a table's rows in flight. */
export const stepsOf = (objects: Objects, table: TableName): readonly EtlStep[] =>
  entriesFor(objects.etl, table).at(-1)?.steps ?? [];

/** True if the table's rows are not all carried as they are: then it is not the same on both sides. */
export const isPartial = (objects: Objects, table: TableName): boolean =>
  filterOf(objects, table) !== undefined || stepsOf(objects, table).length > 0;
