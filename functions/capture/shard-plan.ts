import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { listTables } from '../../shared/postgres/catalog.ts';
import type { Queryable } from '../../shared/postgres/connect.ts';
import { noPrimaryKey, readShardFacts, type ShardFacts } from '../../shared/postgres/shard-facts.ts';
import { Repository } from '../../shared/task/repository.ts';
import {
  oppositeTask,
  type PreparedTable,
  type Side,
  sourceOf,
  type Task,
  type TaskConfig,
} from '../../shared/task/schema.ts';
import {
  decideShards,
  factsOfBoth,
  isUsedBy,
  type PlannedTable,
  placed,
  planAt,
  plannedTables,
  readShardPlan,
  reasonIn,
  reasonOf,
  type ShardPlan,
  shardsBy,
} from '../../shared/task/shard-plan.ts';
import type { Table } from '../../shared/task/table.ts';

type Configured = { readonly task: Task; readonly config: TaskConfig };
type Clients = { readonly source: Queryable; readonly destination: Queryable };

type Joining = Configured &
  Clients & {
    readonly table: Table;
    readonly shards: number;
    /** The other task of the pair, if it is configured and not released. */
    readonly opposite: Configured | undefined;
    readonly arbiter: Side;
  };

/**
 * The tables with their shards, by the pair's plan, which is made if no run of a task goes by one. This run goes by it
 * from now on. Throws `shards-not-kept` if the plan is in use and does not fit the tables (any more).
 */
export async function withShards(
  options: Joining,
  tables: readonly PreparedTable[],
): Promise<readonly PreparedTable[]> {
  if (options.shards === 1) return tables;
  return asPlanned(await join(options, tables), options, tables);
}

/** The tables of a task that is yet to start, by the plan of the other one. */
export async function withShardsOfPair(
  options: Configured & Pick<Joining, 'table' | 'shards'>,
  tables: readonly PreparedTable[],
): Promise<readonly PreparedTable[]> {
  if (options.shards === 1) return tables;
  return asPlanned((await readShardPlan(options.table, options.task.pairId))!.plan, options, tables);
}

/**
 * Throws `shards-not-kept` if a table whose rows go by their keys has got what does not go with that, or if the
 * opposite task was restarted with another plan.
 */
export async function checkShards(
  options: Configured & Clients & { readonly table: Table },
  tables: readonly PreparedTable[],
): Promise<void> {
  if (tables.every(({ shard }) => shard === undefined)) return;
  const { task } = options;
  if ((await readShardPlan(options.table, task.pairId))?.plan.runs[task.id] !== task.generation)
    throw notKept('Tables of the pair go to other shards since the opposite task was restarted.');
  const byKey = tables.filter(({ shard }) => shard === 'key');
  await checkTables(options, byKey, (planned) => readFacts(options, planned));
}

function asPlanned(
  plan: ShardPlan,
  { task, config, shards }: Configured & { readonly shards: number },
  tables: readonly PreparedTable[],
): PreparedTable[] {
  const shardOf = shardsBy(plan, shards);
  return tables.map((each) => ({ ...each, shard: shardOf(placed(task.direction, config, each).onA) }));
}

// Both tasks may begin a run at the same moment: whoever writes, writes over the plan that it has read.
async function join(options: Joining, tables: readonly PreparedTable[]): Promise<ShardPlan> {
  const { task, table } = options;
  const run = { [task.id]: task.generation };
  for (;;) {
    const stored = await readShardPlan(table, task.pairId);
    const isJoined = stored?.plan.runs[task.id] === task.generation;
    const isKept = stored && (isJoined || (await isUsedByOpposite(stored.plan, options)));
    if (isKept) await checkPlan(options, { plan: stored.plan, isJoined, tables });
    if (isKept && isJoined) return stored.plan;
    const plan = isKept
      ? { ...stored.plan, runs: { ...stored.plan.runs, ...run } }
      : await decide(options, tables, run);
    const item = { ...planAt(task.pairId), version: (stored?.version ?? 0) + 1, body: plan };
    if (await table.put(item, stored?.version ?? 'absent')) return plan;
  }
}

/** Whether a run of the opposite task goes by the plan. Its state is read after the plan: a run that joins is seen. */
async function isUsedByOpposite(plan: ShardPlan, { task, table }: Joining): Promise<boolean> {
  const other = await new Repository(table).getTask(oppositeTask(task.id));
  return isUsedBy(plan, other);
}

async function checkPlan(
  options: Joining,
  of: { readonly plan: ShardPlan; readonly isJoined: boolean; readonly tables: readonly PreparedTable[] },
): Promise<void> {
  const { config } = options;
  const byKey = asPlanned(of.plan, options, of.tables).filter(({ shard }) => shard === 'key');
  for (const each of of.isJoined ? [] : byKey) {
    const reason = reasonIn(config, each);
    if (reason !== undefined) throw keptTogether(each, reason);
  }
  await checkTables(options, byKey, (planned) => readFactsBefore(options, planned));
}

async function checkTables(
  { task, config }: Configured,
  tables: readonly PreparedTable[],
  read: (planned: readonly PlannedTable[]) => Promise<Record<Side, ShardFacts>>,
): Promise<void> {
  if (tables.length === 0) return;
  const planned = tables.map((each) => ({ ...placed(task.direction, config, each), reason: undefined }));
  const facts = await read(planned);
  for (const each of planned) {
    const reason = reasonOf(each, facts);
    if (reason !== undefined) throw keptTogether(each[sourceOf(task.direction)], reason);
  }
}

async function decide(
  options: Joining,
  tables: readonly PreparedTable[],
  runs: ShardPlan['runs'],
): Promise<ShardPlan> {
  const { task, config, opposite, arbiter, destination } = options;
  const other = opposite && { config: opposite.config, listed: await listTables(destination as never) };
  const planned = plannedTables({ direction: task.direction, config, tables }, other, arbiter);
  return decideShards(planned, await readFactsBefore(options, planned), runs);
}

const readFacts = (
  { task, source, destination }: Configured & Clients,
  tables: readonly PlannedTable[],
): Promise<Record<Side, ShardFacts>> =>
  factsOfBoth(tables, (side, named) =>
    readShardFacts(side === sourceOf(task.direction) ? source : destination, named),
  );

/** The same while the tables are made: those on the destination may lack their keys, which will be the source's. */
async function readFactsBefore(
  options: Configured & Clients,
  tables: readonly PlannedTable[],
): Promise<Record<Side, ShardFacts>> {
  const facts = await readFacts(options, tables);
  if (!options.config.types.schema) return facts;
  const far = sourceOf(options.task.direction) === 'a' ? 'b' : 'a';
  const reasons = new Map([...facts[far].reasons].filter(([, reason]) => reason !== noPrimaryKey));
  return { ...facts, [far]: { ...facts[far], reasons } };
}

const keptTogether = ({ schema, name }: { schema: string; name: string }, reason: string): PgtwinError =>
  notKept(`Rows of ${schema}.${name} go to shards by their keys, but ${reason}.`, `${schema}.${name}`);

const notKept = (detail: string, table?: string): PgtwinError =>
  new PgtwinError('shards-not-kept', { detail, ...(table === undefined ? {} : { table }) });
