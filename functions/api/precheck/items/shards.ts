import { listTables } from '../../../../shared/postgres/catalog.ts';
import { readShardFacts, type ShardFacts } from '../../../../shared/postgres/shard-facts.ts';
import { type Side, sourceOf } from '../../../../shared/task/schema.ts';
import { carriedTables, keyOfTable } from '../../../../shared/task/selection.ts';
import {
  type CarriedTable,
  decideShards,
  factsOfBoth,
  isUsedBy,
  type PlannedTable,
  plannedTables,
  reasonIn,
  reasonOf,
} from '../../../../shared/task/shard-plan.ts';
import { alert, type Check, count, failed, nameOf, type PrecheckContext, passed } from '../check.ts';

/** Names that are shown of tables of which there is no more to say. */
const SHOWN = 50;

export const shards: Check = {
  item: 'shards',
  title: 'How changes are spread over shards',
  run: async (context) => {
    const { pair, task, config, opposite, plan, expected } = context;
    if (pair.shards === 1) return passed('One shard: source transactions stay whole.');
    const side = sourceOf(task.direction);
    const { own, tables, facts } = await lookAt(context);
    const carried = new Map(own.map((table) => [keyOfTable(table), table]));
    const here = tables.filter((table) => carried.has(keyOfTable(table[side])));
    const isInUse = opposite !== undefined && plan !== undefined && isUsedBy(plan, opposite.task);
    const used = isInUse ? plan : decideShards(tables, facts);
    const keyed = new Set(used.byKey);
    const byKey = here.filter(({ onA }) => keyed.has(onA));
    // What the start would refuse as well: the rows of these go by their keys since the other task has begun.
    const refused = byKey.flatMap((table) => {
      const reason = reasonIn(config, carried.get(keyOfTable(table[side]))!);
      const why = reasonOf({ ...table, reason }, facts);
      return why === undefined ? [] : [`${nameOf(table[side])}: ${why}`];
    });
    if (refused.length > 0)
      return failed(
        `${count(refused.length, 'table')} whose rows go to shards by their keys in the opposite task, which runs already.`,
        {
          details: [
            ...refused,
            'Mend that, or restart the opposite task first: tables are then spread anew.',
          ],
        },
      );
    const byTable = here
      .filter(({ onA }) => !keyed.has(onA))
      .map((table) => {
        const leader = tables.find(({ onA }) => onA === used.groups[table.onA]);
        const reason = reasonOf(table, facts);
        const together = leader ? ` (with ${nameOf(leader[side])})` : '';
        return `by table: ${nameOf(table[side])}${together}${reason === undefined ? '' : `, since ${reason}`}`;
      });
    return alert(
      `Changes go to ${pair.shards} shards, applied side by side: source transactions are not whole at the destination.`,
      {
        details: [
          `by key: ${listed(byKey.map((table) => nameOf(table[side])))}`,
          ...byTable,
          ...(expected.length > 0
            ? [`${count(expected.length, 'table')} not there yet: see the precheck of the forward task`]
            : []),
        ],
      },
    );
  },
};

const listed = (names: readonly string[]): string =>
  names.length === 0
    ? 'none'
    : names.slice(0, SHOWN).join(', ') + (names.length > SHOWN ? ` and ${names.length - SHOWN} more` : '');

/** The tables of both tasks, and what both databases say of them, as a start would see it now. */
async function lookAt(
  context: PrecheckContext,
): Promise<{ own: CarriedTable[]; tables: PlannedTable[]; facts: Record<Side, ShardFacts> }> {
  const { pair, task, config, opposite, source, destination } = context;
  const columns = new Map(
    context.tables.map((table) => [keyOfTable(table), table.columns.map(({ name }) => name)]),
  );
  const own = carriedTables(config.objects, context.listed).map((table) => ({
    ...table,
    columns: columns.get(keyOfTable(table)),
  }));
  const other = opposite && {
    config: opposite.config,
    listed: await destination.session((client) => listTables(client)),
  };
  const tables = plannedTables({ direction: task.direction, config, tables: own }, other, pair.arbiter);
  const facts = await factsOfBoth(tables, (side, named) =>
    (side === sourceOf(task.direction) ? source : destination).session((client) =>
      readShardFacts(client as never, named),
    ),
  );
  return { own, tables, facts };
}
