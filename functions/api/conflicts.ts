import type { ConflictDetail, ConflictQuery, ConflictView } from '../../shared/client/contract.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { type Queryable, withClient } from '../../shared/postgres/connect.ts';
import { keyHash, readChoices, saveChoice } from '../../shared/task/choice.ts';
import { targetOf } from '../../shared/task/ports.ts';
import { destinationOf, type Pair, type Task } from '../../shared/task/schema.ts';
import { type ApiDeps, connectTimeoutOf } from './deps.ts';

export type ConflictPage = { readonly conflicts: ConflictView[]; readonly next?: string };

const columns = /* sql */ `
  id::text, at::text, position, first_position as "firstPosition", kind, suspected_kind as "suspectedKind", policy, result, schema_name as "schema",
  table_name as "table", constraint_name as "constraint", source_time::text as "sourceTime",
  destination_time::text as "destinationTime", source_side as "sourceSide", destination_side as "destinationSide",
  source_hash as "sourceHash", destination_hash as "destinationHash", key, source_row as "sourceRow",
  destination_row as "destinationRow"`;

const conflictsSql = /* sql */ `
select ${columns} from pgtwin.conflict
where task = $1 and ($2::bigint is null or id < $2)
  and ($3::text is null or schema_name = $3) and ($4::text is null or table_name = $4)
  and ($5::text is null or kind = $5) and ($6::text is null or policy = $6)
  and ($7::text is null or result = $7) and ($8::timestamptz is null or at >= $8)
order by id desc limit $9`;

const conflictSql = /* sql */ `
select ${columns}, generation::int4 as generation from pgtwin.conflict where task = $1 and id = $2`;

/** One page of the conflict log, which lies on the task's destination; the newest first. */
export const readConflicts = (
  deps: ApiDeps,
  pair: Pair,
  task: Task,
  query: ConflictQuery & WithRows,
): Promise<ConflictPage> =>
  onDestination(deps, pair, task, async (client) => {
    // Before the start, and after the release, there is no log.
    if (!(await isThere(client))) return { conflicts: [] };
    const { cursor, schema, table, kind, policy, result, since, limit, withRows } = query;
    const values = [task.id, cursor, schema, table, kind, policy, result, since].map(
      (value) => value ?? null,
    );
    const { rows } = await client.query<ConflictView>(conflictsSql, [...values, limit + 1]);
    const page = rows.slice(0, limit).map((row) => (withRows ? row : withoutRows(row)));
    const last = page.at(-1);
    return rows.length > limit && last ? { conflicts: page, next: last.id } : { conflicts: page };
  });

/** One conflict, with what was chosen for it and what can be. Throws `not-found`. */
export async function readConflict(
  deps: ApiDeps,
  pair: Pair,
  task: Task,
  query: { readonly id: string } & WithRows,
): Promise<ConflictDetail> {
  const { generation, ...found } = await findConflict(deps, pair, task, query.id);
  const open = found.result === 'stopped' && generation === task.generation;
  const choices = open ? await readChoices(deps.repository.table, task.id, task.generation) : [];
  const chosen = choices.find(({ conflict }) => conflict === found.id);
  const choice = chosen && { take: chosen.take, by: chosen.by, at: chosen.at };
  const waits = open && task.state === 'Failed' && task.error?.code === 'conflict-stops-task';
  return {
    ...(query.withRows ? found : withoutRows(found)),
    ...(choice ? { choice } : {}),
    offers: waits ? ['take-source', 'keep-destination', 'retry'] : [],
  };
}

/**
 * Stores a person's answer to a conflict that stopped the task. It is bound to the positions and the key of the
 * conflict, and carried out, like any decision, when the task is tried again. The task's version is raised first: of two
 * people who were shown the same, the second is refused. If the process dies in between, nothing is chosen, and one
 * chooses again.
 */
export async function resolveConflict(
  deps: ApiDeps,
  pair: Pair,
  task: Task,
  answer: { readonly id: string; readonly take: 'source' | 'destination'; readonly actor: string },
): Promise<void> {
  const found = await findConflict(deps, pair, task, answer.id);
  if (found.result !== 'stopped' || found.generation !== task.generation)
    throw new PgtwinError('action-not-allowed', {
      detail:
        found.result === 'stopped'
          ? `Conflict ${found.id} is of a run before the task was restarted.`
          : `Conflict ${found.id} is decided already (${found.result}): only one that stopped the task can be resolved.`,
    });
  const { key, schema, table: name, position, firstPosition } = found;
  const cause = `conflict ${found.id}: the ${answer.take}'s version is chosen`;
  await deps.repository.note(task.id, { input: 'resolve', cause, actor: answer.actor });
  await saveChoice(deps.repository.table, task.id, {
    ...{ v: 1, generation: task.generation, conflict: found.id, take: answer.take, by: answer.actor },
    ...{ first: firstPosition ?? position, last: position, at: deps.now().toISOString() },
    key: keyHash({ schema, name }, key as Record<string, string>),
  });
}

type WithRows = { readonly withRows: boolean };

async function findConflict(deps: ApiDeps, pair: Pair, task: Task, id: string) {
  const rows = await onDestination(deps, pair, task, async (client) => {
    if (!(await isThere(client))) return [];
    return (await client.query<ConflictView & { generation: number | null }>(conflictSql, [task.id, id]))
      .rows;
  });
  const [found] = rows;
  if (!found)
    throw new PgtwinError('not-found', { detail: `Task ${task.id} has no conflict ${id} in its log.` });
  return found;
}

async function onDestination<T>(
  deps: ApiDeps,
  pair: Pair,
  task: Task,
  work: (client: Queryable) => Promise<T>,
): Promise<T> {
  const target = await targetOf(pair.sides[destinationOf(task.direction)], deps.secrets);
  const options = {
    application: 'pgtwin api',
    connectTimeoutMs: connectTimeoutOf(deps),
    settings: { statement_timeout: '30s' },
  };
  return withClient(target, options, work);
}

const isThere = async (client: Queryable): Promise<boolean> => {
  const { rows } = await client.query(
    /* sql */ `select to_regclass('pgtwin.conflict_count') is not null as there`,
  );
  return rows[0]?.there === true;
};

const withoutRows = ({ key: _k, sourceRow: _s, destinationRow: _d, ...facts }: ConflictView): ConflictView =>
  facts;
