import type { ApiClient, ConflictFilter } from '../../../shared/client/client.ts';
import type { ConflictDetail, ConflictView, PairView } from '../../../shared/client/contract.ts';
import { asPgtwinError, PgtwinError } from '../../../shared/errors/pgtwin-error.ts';
import type { Direction } from '../../../shared/task/schema.ts';
import { type Context, defineCommand, integerOf, usageError } from '../command.ts';
import { tableLines } from '../figures.ts';
import { pageOptions, readPages } from '../paging.ts';
import { directionsOf, pickPair, taskOption } from '../pick.ts';

export const listConflicts = defineCommand({
  name: 'conflicts',
  summary: 'Show the conflict logs, the newest first',
  arguments: '[PAIR]',
  most: 1,
  options: {
    task: taskOption,
    table: { type: 'string', value: 'TABLE', help: 'only of this table, without its schema' },
    schema: { type: 'string', value: 'SCHEMA', help: 'only of this schema' },
    kind: { type: 'string', value: 'KIND', help: 'only of this kind' },
    policy: { type: 'string', value: 'POLICY', help: 'only what this policy decided' },
    result: { type: 'string', value: 'RESULT', help: 'only with this result' },
    since: { type: 'string', value: 'TIME', help: 'only from this time on, such as 2026-01-31T12:00:00Z' },
    ...pageOptions,
  },
  examples: ['pgtwin conflicts shop --table orders --limit 200', 'pgtwin conflicts show shop 17'],
  async run({ api, say, print }, values, [given]) {
    const limit = integerOf(values.limit, '--limit', 50);
    if (values.cursor !== undefined && !values.task) throw usageError('--cursor needs --task');
    const { table, schema, kind, policy, result, since } = values;
    // The API says which policies there are.
    const filter = { table, schema, kind, policy, result, since } as ConflictFilter;
    const { id } = await pickPair(api, given);
    const pages = await Promise.all(
      directionsOf(values.task).map(async (task) => {
        const page = await readPages(limit, values.cursor, async (at) => {
          const { conflicts: entries, next } = await api.listConflicts(id, task, { ...filter, ...at });
          return { entries, next };
        });
        return { ...page, entries: page.entries.map((conflict) => ({ task, ...conflict })) };
      }),
    );
    const merged = pages.flatMap(({ entries }) => entries);
    const shown = (values.task ? merged : merged.sort((one, other) => (one.at < other.at ? 1 : -1))).slice(
      0,
      limit,
    );
    const next = values.task ? pages[0]?.next : undefined;
    print({ conflicts: shown, ...(next === undefined ? {} : { next }) });
    const head = ['ID', 'TIME', 'TASK', 'TABLE', 'KIND', 'POLICY', 'RESULT', 'KEY'];
    const rows = shown.map((each) => [
      ...[each.id, each.at, each.task, `${each.schema}.${each.table}`, each.kind, each.policy, each.result],
      compact(each.key),
    ]);
    if (rows.length === 0) say('No conflicts.');
    else for (const line of tableLines(head, rows)) say(line);
    if (next !== undefined) say(`There are more: --cursor ${next}`);
    return 0;
  },
});

const compact = (value: unknown): string =>
  value === undefined || value === null ? '' : JSON.stringify(value);

const which = { arguments: '[PAIR] ID', least: 1, most: 2, options: { task: taskOption } } as const;

export const showConflict = defineCommand({
  name: 'conflicts show',
  summary: 'Show one conflict: both versions, and what can be chosen',
  ...which,
  async run(context, values, given) {
    const { conflict, direction } = await findConflict(context, given, values.task);
    context.print({ task: direction, ...conflict });
    for (const line of conflictLines(direction, conflict)) context.say(line);
    return 0;
  },
});

export const resolveConflict = defineCommand({
  name: 'conflicts resolve',
  summary: 'Choose the version that stays, for a conflict that stopped a task',
  ...which,
  about: ['The choice is carried out by "pgtwin retry".'],
  options: {
    ...which.options,
    take: {
      type: 'string',
      value: 'VERSION',
      choices: ['source', 'destination'],
      help: 'the version that arrived, or the one that is there',
    },
  },
  examples: ['pgtwin conflicts resolve shop 17 --take source && pgtwin retry shop --wait'],
  async run(context, values, given) {
    const { take } = values;
    if (!take) throw usageError('--take source or --take destination is needed');
    const { pair, direction, id } = await findConflict(context, given, values.task);
    const resolved = await context.api.resolveConflict(pair.id, direction, id, take);
    context.print({ task: direction, ...resolved });
    context.say(`Conflict ${id} of the ${direction} task: the ${take}'s version was chosen.`);
    context.say(`Next: pgtwin retry ${pair.id} --task ${direction}`);
    return 0;
  },
});

/** Ids are each task's own: where both tasks have it, the one that waits for a choice is meant. */
async function findConflict(
  { api }: Context,
  given: readonly string[],
  task: Direction | undefined,
): Promise<{ pair: PairView; direction: Direction; id: string; conflict: ConflictDetail }> {
  const id = given.at(-1)!;
  if (!/^\d{1,18}$/.test(id)) throw usageError('ID must be the number of a conflict');
  const pair = await pickPair(api, given.length > 1 ? given[0] : undefined);
  const looks = await Promise.all(directionsOf(task).map((direction) => lookAt(api, pair, direction, id)));
  const found = looks.flatMap((look) => look ?? []);
  const waiting = found.filter(({ conflict }) => conflict.offers.length > 0);
  const fitting = waiting.length === 1 ? waiting : found;
  if (fitting.length > 1)
    throw usageError(`both tasks have a conflict ${id}: say --task forward or --task reverse`);
  if (!fitting[0])
    throw new PgtwinError('not-found', {
      detail: `There is no conflict ${id}.`,
      advice: 'See "pgtwin conflicts".',
    });
  return { pair, id, ...fitting[0] };
}

async function lookAt(api: ApiClient, pair: PairView, direction: Direction, id: string) {
  try {
    return { direction, conflict: await api.getConflict(pair.id, direction, id) };
  } catch (error) {
    if (asPgtwinError(error).code === 'not-found') return undefined;
    throw error;
  }
}

function conflictLines(task: Direction, conflict: ConflictDetail): string[] {
  const { id, at, schema, table, constraint, kind, policy, result, choice, offers } = conflict;
  const version = (row: unknown, time: string | null): string =>
    `${compact(row) || 'no row'}${time ? `   (${time})` : ''}`;
  return [
    `Conflict ${id} of the ${task} task, ${at}`,
    `  table        ${schema}.${table}${constraint ? ` (${constraint})` : ''}`,
    `  kind         ${kind}, decided by ${policy}: ${result}`,
    ...(conflict.key === undefined ? [] : [`  key          ${compact(conflict.key)}`]),
    ...rowLines(conflict, version),
    ...(choice ? [`  chosen       ${choice.take}, by ${choice.by} at ${choice.at}`] : []),
    ...(offers.length > 0 ? [`  may          ${offers.join(', ')}`] : []),
  ];
}

const rowLines = (
  { sourceRow, destinationRow, sourceTime, destinationTime }: ConflictView,
  version: (row: unknown, time: string | null) => string,
): string[] =>
  sourceRow === undefined && destinationRow === undefined
    ? []
    : [
        `  source       ${version(sourceRow, sourceTime)}`,
        `  destination  ${version(destinationRow, destinationTime)}`,
      ];
