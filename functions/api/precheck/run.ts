import { PgtwinError } from '../../../shared/errors/pgtwin-error.ts';
import { listTables, readReplicaKeys } from '../../../shared/postgres/catalog.ts';
import type { Target } from '../../../shared/postgres/connect.ts';
import { mappingOf } from '../../../shared/task/mapping.ts';
import {
  destinationOf,
  type Pair,
  sourceOf,
  type TableName,
  type Task,
  type TaskConfig,
} from '../../../shared/task/schema.ts';
import { keyOfTable, selectTables, withRoots } from '../../../shared/task/selection.ts';
import { visit } from '../connectivity.ts';
import {
  type Check,
  defaultLimits,
  failed,
  type Outcome,
  type PrecheckContext,
  type PrecheckLimits,
  passed,
  schemaReader,
  withNames,
} from './check.ts';
import { checks, connectionItems } from './checks.ts';
import { type CheckedDatabase, openCheckedDatabase, type Role } from './database.ts';
import type { Finding } from './report.ts';

export type PrecheckRequest = {
  readonly pair: Pair;
  readonly task: Task;
  readonly config: TaskConfig;
  readonly opposite: { readonly task: Task; readonly config: TaskConfig } | undefined;
  readonly targetOf: (side: 'a' | 'b') => Promise<Target>;
  readonly connectTimeoutMs: number;
  readonly prepared?: PrecheckContext['prepared'];
  readonly plan?: PrecheckContext['plan'];
  readonly limits?: Partial<PrecheckLimits>;
  /** Only these items; all if left out. */
  readonly items?: readonly string[] | undefined;
};

const findingOf = ({ item, title }: Pick<Check, 'item' | 'title'>, outcome: Outcome): Finding => ({
  ...{ item, title, status: outcome.status, cause: outcome.cause },
  ignorable: outcome.ignorable ?? false,
  fix: outcome.fix ?? [],
  details: outcome.details ?? [],
});

/** Looks at both databases; the items run side by side on two connections per database. Changes nothing. */
export async function runPrecheck(
  request: PrecheckRequest,
): Promise<{ findings: Finding[]; tables: number }> {
  const wanted = checks.filter(({ item }) => request.items?.includes(item) ?? true);
  const roles = ['source', 'destination'] as const;
  const visits = await Promise.all(roles.map((role) => visitRole(request, role)));
  const connections = visits.map(({ finding }) => finding);
  const [source, destination] = visits.map(({ opened }) => opened);
  if (!source || !destination) {
    await Promise.all([source?.close(), destination?.close()]);
    const cause = 'Not checked: a database could not be reached.';
    return {
      findings: [...connections, ...wanted.map((check) => findingOf(check, failed(cause)))],
      tables: 0,
    };
  }
  try {
    const context = await readContext(request, source.database, destination.database);
    const outcomes = await Promise.all(wanted.map((check) => runCheck(check, context)));
    return {
      findings: [...connections, ...outcomes],
      tables: context.tables.length + context.expected.length,
    };
  } finally {
    await Promise.all([source.close(), destination.close()]);
  }
}

/** An item that can't be checked has failed: its privileges, or its SQL, are not what they should be. */
async function runCheck(check: Check, context: PrecheckContext): Promise<Finding> {
  try {
    return findingOf(check, await check.run(context));
  } catch (error) {
    if (!(error instanceof PgtwinError)) throw error;
    return findingOf(
      check,
      failed(`Could not be checked: ${error.message}`, { details: [error.rule.advice] }),
    );
  }
}

async function visitRole(request: PrecheckRequest, role: Role) {
  const side = role === 'source' ? sourceOf(request.task.direction) : destinationOf(request.task.direction);
  const { connectTimeoutMs } = request;
  try {
    const target = await request.targetOf(side);
    const server = await visit(target, `sides.${side}`, connectTimeoutMs);
    const opened = openCheckedDatabase({ role, side, target, server, connectTimeoutMs });
    const where = `${target.database} at ${target.host}:${target.port}`;
    return { opened, finding: findingOf(connectionItems[role], passed(`Logged in to ${where}.`)) };
  } catch (error) {
    if (!(error instanceof PgtwinError)) throw error;
    const details = [error.rule.advice, ...(error.facts.field ? [`field: ${error.facts.field}`] : [])];
    return {
      opened: undefined,
      finding: findingOf(connectionItems[role], failed(error.message, { details })),
    };
  }
}

async function readContext(
  request: PrecheckRequest,
  source: CheckedDatabase,
  destination: CheckedDatabase,
): Promise<PrecheckContext> {
  const { pair, task, config, opposite } = request;
  const [here, listedThere] = await Promise.all([readList(source), readList(destination)]);
  const there = namesOf(config);
  const selected = selectTables(config.objects, here);
  const byOpposite = new Set(
    task.direction === 'reverse' && opposite
      ? selectTables(opposite.config.objects, listedThere).map(keyOfTable)
      : [],
  );
  const known = new Set(here.map(keyOfTable));
  // Nothing is expected once the forward has run: what it had to make is there.
  const waits =
    opposite &&
    ['NotConfigured', 'Prechecking', 'PrecheckFailed', 'PrecheckPassed', 'Initializing'].includes(
      opposite.task.state,
    );
  // What the forward task is going to make here, by the names that it will give.
  const made = waits
    ? selectTables(opposite.config.objects, listedThere).map(withNames(namesOf(opposite.config)))
    : [];
  const expected: TableName[] = selectTables(config.objects, made)
    .filter((table) => task.direction === 'reverse' && !known.has(keyOfTable(table)))
    .map(({ schema, name }) => ({ schema, name }));
  const [tables, present] = await Promise.all([
    source.session((client) => readReplicaKeys(client, selected)),
    destination.session((client) => readReplicaKeys(client, selected.map(there))),
  ]);
  const presentByName = new Map(present.map((table) => [keyOfTable(table), table]));
  return {
    ...{ pair, task, config, source, destination, tables, expected, listed: here },
    ...(opposite ? { opposite } : {}),
    prepared: request.prepared,
    plan: request.plan,
    limits: { ...defaultLimits, ...request.limits },
    there,
    onDestination: new Map(
      tables.flatMap((table) => {
        const found = presentByName.get(keyOfTable(there(table)));
        return found ? [[keyOfTable(table), found] as const] : [];
      }),
    ),
    filledByOpposite: (table) => byOpposite.has(keyOfTable(table)),
    schemas: schemaReader(source, destination, tables, config),
  };
}

/** The destination's names; where a rule gives none that can be, the item for names says so. */
function namesOf({ objects }: TaskConfig): (table: TableName) => TableName {
  const mapping = mappingOf(objects.mapping);
  return ({ schema, name }) => {
    try {
      const { schema: inSchema, name: called } = mapping.table({ schema, name });
      return { schema: inSchema, name: called };
    } catch {
      return { schema, name };
    }
  };
}

const readList = async (of: CheckedDatabase) =>
  withRoots((await of.session((client) => listTables(client))).filter((table) => !table.extension));
