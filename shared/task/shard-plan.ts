import { z } from 'zod';
import type { ListedTable } from '../postgres/catalog.ts';
import { idOf, type ShardFacts } from '../postgres/shard-facts.ts';
import { shardOfName } from '../stream/shard.ts';
import { choosesColumns } from './columns.ts';
import { mappingOf } from './mapping.ts';
import {
  type Direction,
  destinationOf,
  directionTo,
  opposite,
  type PreparedTable,
  type Side,
  type TableName,
  type Task,
  type TaskConfig,
  taskIdOf,
} from './schema.ts';
import { carriedTables, selectTables } from './selection.ts';
import type { Table } from './table.ts';
import { filterOf, operationsOf, stepsOf } from './table-rules.ts';
import { isDecidedTogether } from './together.ts';

/**
 * Where a pair's tables go: decided once, by whichever task is initialized first, and the same for both since rows must
 * be in the same shard in both directions. Tables stand under their names on side a.
 */
export const shardPlan = z.strictObject({
  v: z.literal(1),
  byKey: z.array(z.string()),
  /** Of tables that foreign keys join: the one that all of them go with. */
  groups: z.record(z.string(), z.string()),
  /** Where the groups would be too many for an item: the table that all go with that do not go by key. */
  rest: z.string().optional(),
  /** The runs (generations) of the tasks that go by it. */
  runs: z.record(z.string(), z.number().int()).default({}),
});
export type ShardPlan = z.infer<typeof shardPlan>;

/** A table under its names on both sides, and why its tasks do not let it go by key. */
export type PlannedTable = Readonly<Record<Side, TableName>> & {
  readonly onA: string;
  readonly reason: string | undefined;
};

/** Below what an item may hold. */
const PLAN_BYTES = 350_000;
const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));

const differentKeys = 'its primary key is not the same on both sides';

/** Why a table can not go by key: what its tasks do with it, what a database has against it. */
export function reasonOf(
  { onA, reason }: Pick<PlannedTable, 'onA' | 'reason'>,
  facts: Readonly<Record<Side, ShardFacts>>,
): string | undefined {
  if (reason !== undefined) return reason;
  for (const side of ['a', 'b'] as const) {
    const found = facts[side].reasons.get(onA);
    if (found !== undefined) return `on side ${side} ${found}`;
  }
  const [a, b] = [facts.a.keys.get(onA), facts.b.keys.get(onA)];
  return a !== undefined && b !== undefined && a !== b ? differentKeys : undefined;
}

/** The plan (pure). `facts` are those of the tables by their names on side a, from both sides. */
export function decideShards(
  tables: readonly PlannedTable[],
  facts: Readonly<Record<Side, ShardFacts>>,
  runs: ShardPlan['runs'] = {},
): ShardPlan {
  const known = new Set(tables.map(({ onA }) => onA));
  const leaders = new Map<string, string>();
  const leaderOf = (name: string): string => {
    const next = leaders.get(name);
    return next === undefined || next === name ? name : leaderOf(next);
  };
  const references = [...facts.a.references, ...facts.b.references];
  for (const [one, other] of references.map((pair) => pair.map(idOf))) {
    if (!known.has(one!) || !known.has(other!)) continue;
    const [first, second] = [leaderOf(one!), leaderOf(other!)].sort();
    leaders.set(second!, first!);
  }
  const groups = Object.fromEntries(
    [...known].flatMap((name) => (leaderOf(name) === name ? [] : [[name, leaderOf(name)]])),
  );
  const grouped: ShardPlan = { v: 1, byKey: [], groups, runs };
  const [smallest] = [...known].sort();
  const head = bytesOf(grouped) > PLAN_BYTES ? { ...grouped, groups: {}, rest: smallest } : grouped;
  const byKey = tables
    .filter((table) => reasonOf(table, facts) === undefined)
    .map(({ onA }) => onA)
    .sort();
  let bytes = bytesOf(head);
  const fits = byKey.filter((name) => {
    bytes += bytesOf(name) + 1;
    return bytes <= PLAN_BYTES;
  });
  return { ...head, byKey: fits };
}

/** Where tables go by a plan, by their names on side a; one that is not in it goes by itself. */
export function shardsBy(plan: ShardPlan, shards: number): (onA: string) => number | 'key' {
  const byKey = new Set(plan.byKey);
  return (onA) => (byKey.has(onA) ? 'key' : shardOfName(plan.rest ?? plan.groups[onA] ?? onA, shards));
}

/** Nothing of these is going to be taken up where it ended. */
const idle: readonly string[] = [
  ...[
    'NotConfigured',
    'Prechecking',
    'PrecheckFailed',
    'PrecheckPassed',
    'Finished',
    'Releasing',
    'Released',
  ],
];

/** Whether a run of the task goes by the plan. */
export function isUsedBy(plan: ShardPlan, { id, generation, state, error }: Task): boolean {
  if (plan.runs[id] !== generation || idle.includes(state)) return false;
  // What the plan itself has stopped is going to be restarted; if it is taken up again, its stream stops again.
  return !(state === 'Failed' && error?.code === 'shards-not-kept');
}

/** Reads what is stored of a pair's plan. */
export async function readShardPlan(
  table: Table,
  pairId: string,
): Promise<{ readonly plan: ShardPlan; readonly version: number } | undefined> {
  const { pk, sk } = planAt(pairId);
  const item = await table.get(pk, sk);
  return item && { plan: shardPlan.parse(item.body), version: item.version };
}
/** It goes with the pair. */
export const planAt = (pairId: string) => ({ pk: taskIdOf(pairId, 'forward'), sk: 'shards' });

/** A table that a task carries under its names on both sides. */
export function placed(
  direction: Direction,
  { objects }: TaskConfig,
  { schema, name }: TableName,
): Omit<PlannedTable, 'reason'> {
  const here = { schema, name };
  const there = mappingOf(objects.mapping).table(here);
  const [a, b] = direction === 'forward' ? [here, there] : [there, here];
  return { a, b, onA: idOf(a) };
}

/** A table with its columns, where they are known. */
export type CarriedTable = TableName & {
  readonly columns?: PreparedTable['columns'] | undefined;
  readonly shared?: PreparedTable['shared'] | undefined;
};

/** What a task does with a table that keeps its rows together. */
export function reasonIn(config: TaskConfig, table: CarriedTable): string | undefined {
  const { objects } = config;
  if (filterOf(objects, table) !== undefined) return 'its rows are filtered';
  if (stepsOf(objects, table).length > 0) return 'its rows are changed on their way';
  if (choosesColumns(objects, table) || table.shared) return 'not all of its columns are carried';
  if (!Object.values(operationsOf(config, table)).every(Boolean)) return 'operations on it are left out';
  const mapping = mappingOf(objects.mapping);
  if (idOf(mapping.table(table)) !== idOf(table)) return 'it has another name on the other side';
  const isRenamed = (column: string): boolean => mapping.column(table, column) !== column;
  if (mapping.mapsColumns && (table.columns?.some(isRenamed) ?? true))
    return 'its columns may have other names on the other side';
  return undefined;
}

const oneTask = 'only one of both tasks has it';

/** The tables of both tasks. The other one's are those that it selects now, of all that are `listed` at its source. */
export function plannedTables(
  own: {
    readonly direction: Direction;
    readonly config: TaskConfig;
    readonly tables: readonly CarriedTable[];
  },
  other: { readonly config: TaskConfig; readonly listed: readonly ListedTable[] } | undefined,
  arbiter: Side,
): PlannedTable[] {
  const { direction, config } = own;
  const mine = own.tables.map((table) => ({
    ...placed(direction, config, table),
    reason: reasonIn(config, table),
  }));
  if (!other) return mine;
  const { objects } = other.config;
  const theirs = carriedTables(objects, other.listed).map((table) => ({
    ...placed(opposite(direction), other.config, table),
    reason: reasonIn(other.config, table),
  }));
  const decides = directionTo(arbiter) === direction;
  const [deciding, following] = decides ? [config, other.config] : [other.config, config];
  const together = isDecidedTogether(deciding, following);
  const there = new Set(other.listed.map(idOf));
  const carried = new Map(theirs.map((each) => [each.onA, each]));
  const reasonOfBoth = (table: PlannedTable): string | undefined => {
    if (!together) return 'each side decides its conflicts for itself';
    if (table.reason !== undefined) return table.reason;
    const back = carried.get(table.onA);
    if (back) return back.reason;
    const far = table[destinationOf(direction)];
    // What is not there yet is made by the own task, and then found by the other one.
    const isAwaited = !there.has(idOf(far)) && selectTables(objects, [far]).length > 0;
    return isAwaited ? reasonIn(other.config, far) : oneTask;
  };
  const known = new Set(mine.map(({ onA }) => onA));
  return [
    ...mine.map((table) => ({ ...table, reason: reasonOfBoth(table) })),
    ...theirs.filter(({ onA }) => !known.has(onA)).map((table) => ({ ...table, reason: oneTask })),
  ];
}

/** What both databases say of tables, by their names on side a; `read` asks the one of a side. */
export async function factsOfBoth(
  tables: readonly PlannedTable[],
  read: (side: Side, named: readonly TableName[]) => Promise<ShardFacts>,
): Promise<Record<Side, ShardFacts>> {
  const [a, b] = await Promise.all(
    (['a', 'b'] as const).map((side) =>
      read(
        side,
        tables.map((each) => each[side]),
      ),
    ),
  );
  return { a: a!, b: namedOnA(b!, tables) };
}

/** What side b says, by the names on side a. */
export function namedOnA(
  { reasons, keys, references }: ShardFacts,
  tables: readonly PlannedTable[],
): ShardFacts {
  const names = new Map(tables.map(({ b, a, onA }) => [idOf(b), { onA, a }]));
  const named = (table: TableName): TableName => names.get(idOf(table))?.a ?? table;
  const idsOnA = <V>(of: ReadonlyMap<string, V>): Map<string, V> =>
    new Map([...of].map(([id, value]) => [names.get(id)?.onA ?? id, value]));
  return {
    reasons: idsOnA(reasons),
    keys: idsOnA(keys),
    references: references.map(([one, other]) => [named(one), named(other)]),
  };
}
