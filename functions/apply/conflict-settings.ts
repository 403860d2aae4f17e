import type { Resolver, Settings } from '../../shared/conflict/policies/policy.ts';
import type { SourceFacts } from '../../shared/conflict/steps.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { policyOf } from '../../shared/task/conflict-config.ts';
import { loadResolver } from '../../shared/task/load-resolver.ts';
import type { Task, TaskConfig } from '../../shared/task/schema.ts';
import type { ApplyTable } from './tables.ts';

/**
 * How a change's conflicts are decided: the table's policy, or `overwrite` for what was committed before the task was
 * resumed or restarted, where `catchUpPolicy` says so. Only the arbiter asks, so the two clocks need not agree.
 */
export function conflictSettings(
  config: TaskConfig,
  task: Pick<Task, 'events'>,
): (table: ApplyTable, source: SourceFacts) => Settings {
  const byTable = new WeakMap<ApplyTable, Settings>();
  const until = config.catchUpPolicy === 'overwrite' ? resumedAt(task) : undefined;
  const settingsOf = (table: ApplyTable): Settings => {
    let settings = byTable.get(table);
    if (!settings) {
      settings = readSettings(config, table);
      byTable.set(table, settings);
    }
    return settings;
  };
  return (table, { time }) =>
    until !== undefined && time !== null && time < until
      ? { ...settingsOf(table), policy: 'overwrite' }
      : settingsOf(table);
}

/** When the task last went on, microseconds since 1970. */
function resumedAt({ events }: Pick<Task, 'events'>): bigint | undefined {
  const last = events.findLast(({ input }) => input === 'resume' || input === 'restart');
  return last && BigInt(Date.parse(last.at)) * 1000n;
}

function readSettings(config: TaskConfig, table: ApplyTable): Settings {
  const { deltaColumns, resolver, ...rest } = policyOf(config, table.source);
  const indexes = deltaColumns.map((column) => {
    const index = table.source.columns.findIndex((each) => each.name === column);
    if (index >= 0) return index;
    const { schema, name } = table.source;
    throw new PgtwinError('column-missing', {
      detail: `Column ${schema}.${name}.${column} of deltaColumns is not in the stream.`,
    });
  });
  return {
    ...rest,
    deltaColumns: indexes,
    // An update of a row that is not here brings it in.
    ...(table.partial ? { onDeleted: 'restore' as const } : {}),
    ...(resolver === undefined ? {} : { resolver: resolverOf(resolver) }),
  };
}

/** A resolver is made once in a process: contexts are read again every few seconds. */
const resolvers = new Map<string, Resolver>();
const MOST_RESOLVERS = 100;

function resolverOf(source: string): Resolver {
  let resolver = resolvers.get(source);
  if (!resolver) {
    if (resolvers.size >= MOST_RESOLVERS) resolvers.clear();
    resolver = loadResolver(source);
    resolvers.set(source, resolver);
  }
  return resolver;
}
