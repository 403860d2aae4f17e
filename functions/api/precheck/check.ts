import type { ListedTable, ReplicaKeys } from '../../../shared/postgres/catalog.ts';
import { compareSchemas, type Difference } from '../../../shared/postgres/schema/compare.ts';
import type { SchemaModel } from '../../../shared/postgres/schema/model.ts';
import { readDestination, readSchema } from '../../../shared/postgres/schema/read.ts';
import { destinationModel } from '../../../shared/task/destination-schema.ts';
import type { Pair, TableName, Task, TaskConfig } from '../../../shared/task/schema.ts';
import type { ShardPlan } from '../../../shared/task/shard-plan.ts';
import type { CheckedDatabase, Role } from './database.ts';
import type { Finding } from './report.ts';

/** Limits of the precheck, as settings so that tests can reach them. */
export type PrecheckLimits = {
  readonly mostTables: number;
  readonly longTransactionSeconds: number;
  readonly clockDifferenceSeconds: number;
  readonly smallestKeptWalBytes: number;
};
export const defaultLimits: PrecheckLimits = {
  mostTables: 5000,
  longTransactionSeconds: 60,
  clockDifferenceSeconds: 5,
  smallestKeptWalBytes: 10 * 2 ** 30,
};

/** What every item may ask. Tables are of the source unless they say otherwise. */
export type PrecheckContext = {
  readonly pair: Pair;
  readonly task: Task;
  readonly config: TaskConfig;
  /** The pair's other task, if it is configured. */
  readonly opposite?: { readonly task: Task; readonly config: TaskConfig };
  readonly source: CheckedDatabase;
  readonly destination: CheckedDatabase;
  /** Where the pair's tables go, if a run of a task has decided it. */
  readonly plan?: ShardPlan | undefined;
  /** The server that the task's slot was made on, if it has been made. */
  readonly prepared?: { readonly systemId: string; readonly timeline: number } | undefined;
  readonly limits: PrecheckLimits;
  /** Selected tables, with their keys, in order of name. */
  readonly tables: readonly ReplicaKeys[];
  /**
   * Of the reverse task, before the forward has run: tables that do not exist on its source yet, because the forward
   * task will make them there. Their keys were checked, or will be, by the forward's precheck.
   */
  readonly expected: readonly TableName[];
  /** What a table of the source is called on the destination. */
  readonly there: (table: TableName) => TableName;
  /** The selected tables that exist on the destination, by `keyOfTable` of the source's name. */
  readonly onDestination: ReadonlyMap<string, ReplicaKeys>;
  /** All tables of the source. */
  readonly listed: readonly ListedTable[];
  /** Tables that the opposite task selects here as its destination: it fills them, or has filled them. */
  readonly filledByOpposite: (table: TableName) => boolean;
  /**
   * The schema of the selected tables, read once: as the source has it, as the destination shall have it, and as the
   * destination has it.
   */
  readonly schemas: () => Promise<Record<'source' | 'wanted' | 'destination', SchemaModel>>;
};

export type Outcome = Pick<Finding, 'status' | 'cause'> &
  Partial<Pick<Finding, 'fix' | 'details'>> & { readonly ignorable?: boolean };

/** One item: a name for ever, and a look at the databases. */
export type Check = {
  readonly item: string;
  readonly title: string;
  run(context: PrecheckContext): Promise<Outcome>;
};

type More = { readonly fix?: readonly Finding['fix'][number][]; readonly details?: readonly string[] };
const more = ({ fix = [], details = [] }: More) => ({ fix: [...fix], details: [...details] });

export const passed = (cause: string, details: readonly string[] = []): Outcome => ({
  status: 'passed',
  cause,
  details: [...details],
});
/** Something to know before the start: can be ignored by name. */
export const alert = (cause: string, rest: More = {}): Outcome => ({
  status: 'alert',
  cause,
  ignorable: true,
  ...more(rest),
});
export const failed = (cause: string, rest: More & { ignorable?: boolean } = {}): Outcome => ({
  status: 'failed',
  cause,
  ignorable: rest.ignorable ?? false,
  ...more(rest),
});

/** A statement to be run on one of the two databases. */
export const fixOn = (role: Role, sql: string): Finding['fix'][number] => ({ side: role, sql });

export const nameOf = ({ schema, name }: TableName): string => `${schema}.${name}`;

/** `3 tables`, `1 table`. */
export const count = (n: number, word: string): string => `${n} ${word}${n === 1 ? '' : 's'}`;

/** Tables that hold rows themselves: a partitioned table is its partitions. */
export const rowTables = (context: PrecheckContext): ReplicaKeys[] =>
  context.tables.filter((table) => table.kind !== 'partitioned');

/** A listed table under other names, its root as well. */
export const withNames =
  (there: (table: TableName) => TableName) =>
  (table: TableName & { readonly root?: TableName | undefined }) => ({
    ...there(table),
    root: table.root && there(table.root),
  });

/** The schemas of both sides, each read once on one connection, when first asked for. */
export function schemaReader(
  source: CheckedDatabase,
  destination: CheckedDatabase,
  tables: readonly TableName[],
  config: TaskConfig,
): PrecheckContext['schemas'] {
  let reading: ReturnType<PrecheckContext['schemas']> | undefined;
  const read = async () => {
    const model = await source.session((client) => readSchema(client, tables));
    const wanted = destinationModel(model, config);
    const there = await destination.session((client) => readDestination(client, wanted));
    return { source: model, wanted, destination: there };
  };
  return () => {
    reading ??= read();
    return reading;
  };
}

/** How the destination's schema differs, where the object is there. */
export async function differencesOf(context: PrecheckContext): Promise<Difference[]> {
  const { wanted, destination } = await context.schemas();
  return compareSchemas(wanted, destination);
}
