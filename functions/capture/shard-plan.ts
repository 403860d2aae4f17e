import { z } from 'zod';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { TableName } from '../../shared/postgres/catalog.ts';
import type { Queryable } from '../../shared/postgres/connect.ts';
import { shardOfName } from '../../shared/stream/shard.ts';
import { mappingOf } from '../../shared/task/mapping.ts';
import {
  type Direction,
  directionOfTask,
  type PreparedTable,
  pairOfTask,
  type TaskConfig,
  taskIdOf,
} from '../../shared/task/schema.ts';
import type { Table } from '../../shared/task/table.ts';
import { idOf, readShardFacts, type ShardFacts } from './shard-facts.ts';

/**
 * Where a pair's tables go: decided once, by whichever task is initialized first, and the same for both since rows must
 * be in the same shard in both directions. Tables stand under their names on side a.
 */
const plan = z.strictObject({
  v: z.literal(1),
  byKey: z.array(z.string()),
  /** Of tables that foreign keys join: the one that all of them go with. */
  groups: z.record(z.string(), z.string()),
});
export type ShardPlan = z.infer<typeof plan>;

/** A table under its names on the side that is read and on side a, and why its task does not let it go by key. */
export type PlannedTable = TableName & { readonly onA: string; readonly reason: string | undefined };

/** Below what an item may hold. */
const PLAN_BYTES = 350_000;

/** The plan (pure). `facts` are those of the tables by their names on side a, from one or both sides. */
export function decideShards(tables: readonly PlannedTable[], facts: readonly ShardFacts[]): ShardPlan {
  const known = new Set(tables.map(({ onA }) => onA));
  const leaders = new Map<string, string>();
  const leaderOf = (name: string): string => {
    const next = leaders.get(name);
    return next === undefined || next === name ? name : leaderOf(next);
  };
  for (const [one, other] of facts.flatMap(({ references }) => references).map((pair) => pair.map(idOf))) {
    if (!known.has(one!) || !known.has(other!)) continue;
    const [first, second] = [leaderOf(one!), leaderOf(other!)].sort();
    leaders.set(second!, first!);
  }
  const groups = Object.fromEntries(
    [...known].flatMap((name) => (leaderOf(name) === name ? [] : [[name, leaderOf(name)]])),
  );
  const byKey = tables
    .filter(({ onA, reason }) => reason === undefined && facts.every(({ reasons }) => !reasons.has(onA)))
    .map(({ onA }) => onA)
    .sort();
  let bytes = JSON.stringify(groups).length;
  const fits = byKey.filter((name) => {
    bytes += Buffer.byteLength(JSON.stringify(name)) + 1;
    return bytes <= PLAN_BYTES;
  });
  return { v: 1, byKey: fits, groups };
}

/** A table's shard by the plan (pure); one that is not in it goes by itself. */
export const shardBy = (
  plan: ShardPlan,
  byKey: ReadonlySet<string>,
  onA: string,
  shards: number,
): number | 'key' => (byKey.has(onA) ? 'key' : shardOfName(plan.groups[onA] ?? onA, shards));

type Planned = {
  readonly table: Table;
  readonly taskId: string;
  readonly shards: number;
  readonly config: TaskConfig;
  readonly source: Queryable;
  readonly destination: Queryable;
};

/** The tables with their shards. */
export async function withShards(
  options: Planned,
  tables: readonly PreparedTable[],
): Promise<readonly PreparedTable[]> {
  const { table, taskId, shards, source, destination } = options;
  if (shards === 1) return tables;
  const planned = plannedTables(options, tables);
  const key = { pk: taskIdOf(pairOfTask(taskId), 'forward'), sk: 'shards' };
  const read = async (): Promise<ShardPlan | undefined> => {
    const stored = await table.get(key.pk, key.sk);
    return stored && plan.parse(stored.body);
  };
  let decided = await read();
  if (!decided) {
    const names = new Map(planned.map((each) => [idOf(each), each.onA]));
    const facts = await Promise.all([
      readShardFacts(source, planned).then((found) => renamed(found, names)),
      readShardFacts(destination, placesOf(options, tables)).then((found) =>
        renamed(found, new Map(placesOf(options, tables).map((place, n) => [idOf(place), planned[n]!.onA]))),
      ),
    ]);
    const body = decideShards(planned, facts);
    // The other task may be first: then its plan counts.
    await table.put({ ...key, version: 1, body }, 'absent');
    decided = (await read())!;
  }
  const byKey = new Set(decided.byKey);
  return tables.map((each, n) => ({ ...each, shard: shardBy(decided, byKey, planned[n]!.onA, shards) }));
}

/** Throws `shards-not-kept` if a table whose rows go by their keys has got what does not go with that. */
export async function checkShards(
  options: Omit<Planned, 'shards' | 'table'>,
  tables: readonly PreparedTable[],
) {
  const byKey = tables.filter((each) => each.shard === 'key');
  if (byKey.length === 0) return;
  const rules = plannedTables(options, byKey).flatMap(({ reason, ...name }) =>
    reason ? [{ name, reason }] : [],
  );
  const sides = await Promise.all([
    readShardFacts(options.source, byKey).then(({ reasons }) => reasons),
    readShardFacts(options.destination, placesOf(options, byKey)).then(({ reasons }) => reasons),
  ]);
  const found = sides.flatMap((reasons) =>
    [...reasons].map(([id, reason]) => ({ name: nameOf(id), reason })),
  );
  const [first] = [...rules, ...found];
  if (first)
    throw new PgtwinError('shards-not-kept', {
      detail: `Rows of ${first.name.schema}.${first.name.name} go to shards by their keys, but ${first.reason}.`,
      table: first.name.name,
    });
}

function nameOf(id: string): TableName {
  const [schema, name] = JSON.parse(id) as [string, string];
  return { schema, name };
}

const placesOf = ({ config }: Pick<Planned, 'config'>, tables: readonly TableName[]): TableName[] => {
  const mapping = mappingOf(config.objects.mapping);
  return tables.map((each) => mapping.table(each));
};

function plannedTables(
  { taskId, config }: Pick<Planned, 'taskId' | 'config'>,
  tables: readonly PreparedTable[],
): PlannedTable[] {
  const places = placesOf({ config }, tables);
  const onA = directionOfTask(taskId) === ('forward' satisfies Direction) ? tables : places;
  return tables.map((each, n) => ({
    ...{ schema: each.schema, name: each.name, onA: idOf(onA[n]!) },
    reason: reasonOf(each, places[n]!),
  }));
}

/** What of the configuration keeps a table together. */
function reasonOf(table: PreparedTable, place: TableName): string | undefined {
  if (table.columns || table.filter || table.types || table.publish)
    return 'the task selects columns or rows of it, or changes them on their way';
  if (idOf(place) !== idOf(table)) return 'it has another name on the other side';
  return undefined;
}

const renamed = ({ reasons, references }: ShardFacts, names: ReadonlyMap<string, string>): ShardFacts => {
  const nameOnA = (table: TableName): TableName => nameOf(names.get(idOf(table)) ?? idOf(table));
  return {
    reasons: new Map([...reasons].map(([id, reason]) => [names.get(id) ?? id, reason])),
    references: references.map(([one, other]) => [nameOnA(one), nameOnA(other)]),
  };
};
