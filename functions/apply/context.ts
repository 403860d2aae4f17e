import type { Settings } from '../../shared/conflict/policies/policy.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { qualified } from '../../shared/postgres/ident.ts';
import { type Relation, tag } from '../../shared/postgres/pgoutput.ts';
import { readPrepared } from '../../shared/task/prepared.ts';
import type { Repository } from '../../shared/task/repository.ts';
import {
  destinationOf,
  oppositeTask,
  type Pair,
  sourceOf,
  type Task,
  type TaskConfig,
} from '../../shared/task/schema.ts';
import type { Role } from './exact.ts';
import type { ApplyTable } from './tables.ts';
import type { ApplySettings } from './write.ts';

/** What apply knows of a task from the table; read again when it is old or a message has a newer configuration. */
export type TaskContext = {
  readonly pair: Pair;
  readonly task: Task;
  readonly config: TaskConfig;
  readonly settings: ApplySettings;
  readonly keyOf: (relation: Relation) => readonly string[] | undefined;
  readonly readAt: number;
};

export async function readContext(repository: Repository, taskId: string, now: number): Promise<TaskContext> {
  const task = await repository.getTask(taskId);
  const oppositeId = oppositeTask(taskId);
  const [pair, config, prepared, other] = await Promise.all([
    repository.getPair(task.pairId),
    repository.getConfig(task),
    readPrepared(repository.table, taskId),
    readPrepared(repository.table, oppositeId),
  ]);
  if (!prepared)
    throw new PgtwinError('gap-not-healable', { detail: `Task ${taskId} has not been prepared.` });
  const keys = new Map(prepared.list.map((t) => [qualified(t.schema, t.name), t.key]));
  const mirrored = new Set((other?.list ?? []).map((t) => qualified(t.schema, t.name)));
  const keyOf = (r: Relation) => keys.get(qualified(r.schema, r.name));
  return { pair, task, config, keyOf, readAt: now, settings: settingsOf(task, pair, config, mirrored) };
}

function settingsOf(
  task: Task,
  pair: Pair,
  config: TaskConfig,
  mirrored: ReadonlySet<string>,
): ApplySettings {
  const here = destinationOf(task.direction);
  const there = sourceOf(task.direction);
  const role: Role = here === pair.arbiter ? 'arbiter' : 'follower';
  const byTable = new Map(config.tablePolicies.map((p) => [qualified(p.schema, p.table), p.conflictPolicy]));
  const settings = (table: ApplyTable): Settings => ({
    policy: byTable.get(table.sql) ?? config.conflictPolicy,
    onDeleted: config.onDeleted,
    preferredSide: 'a',
    fallback: 'last-write-wins',
    deltaColumns: [],
  });
  const { operations } = config;
  const wanted = new Map([
    [tag.insert as number, operations.insert],
    [tag.update, operations.update],
    [tag.delete, operations.delete],
    [tag.truncate, operations.truncate],
  ]);
  const everything = Object.values(operations).every(Boolean);
  return {
    opposite: oppositeTask(task.id),
    here,
    there,
    arbiter: pair.arbiter,
    // Only what both tasks carry whole, in both directions, can be decided at one side.
    role: (table) => (config.decide === 'arbiter' && everything && mirrored.has(table.sql) ? role : 'alone'),
    settings,
    choice: () => undefined,
    wants: (_, kind) => wanted.get(kind) ?? true,
  };
}
