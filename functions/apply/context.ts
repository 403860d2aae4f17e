import type { Key } from '../../shared/conflict/rows.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { qualified } from '../../shared/postgres/ident.ts';
import { type Relation, tag } from '../../shared/postgres/pgoutput.ts';
import { type Choice, findChoice, keyHash, readChoices } from '../../shared/task/choice.ts';
import { mayStop } from '../../shared/task/conflict-config.ts';
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
import { isDecidedTogether } from '../../shared/task/together.ts';
import { conflictSettings } from './conflict-settings.ts';
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
  const { table } = repository;
  const oppositeId = oppositeTask(taskId);
  const [pair, config, prepared, opposite, otherPrepared] = await Promise.all([
    repository.getPair(task.pairId),
    repository.getConfig(task),
    readPrepared(table, taskId),
    repository.getTask(oppositeId),
    readPrepared(table, oppositeId),
  ]);
  if (!prepared)
    throw new PgtwinError('gap-not-healable', { detail: `Task ${taskId} has not been prepared.` });
  const other = opposite.configVersion > 0 ? await repository.getConfig(opposite) : undefined;
  const choices = mayStop(config) ? await readChoices(table, taskId, task.generation) : [];
  const keys = new Map(prepared.list.map((t) => [qualified(t.schema, t.name), t.key]));
  const otherKeys = new Map(otherPrepared?.list.map((t) => [qualified(t.schema, t.name), t.key]));
  const keyOf = (r: Relation) => keys.get(qualified(r.schema, r.name));
  const mirrored = (t: ApplyTable) => sameList(keys.get(t.sql), otherKeys.get(t.sql));
  const settings = settingsOf({ task, pair, config, other, mirrored, choices });
  return { pair, task, config, keyOf, readAt: now, settings };
}

const sameList = (one: readonly string[] | undefined, other: readonly string[] | undefined): boolean =>
  one !== undefined && one.length === other?.length && one.every((each, n) => each === other[n]);

type Read = {
  readonly task: Task;
  readonly pair: Pair;
  readonly config: TaskConfig;
  /** The opposite task's, if it is configured. */
  readonly other: TaskConfig | undefined;
  readonly mirrored: (table: ApplyTable) => boolean;
  readonly choices: readonly Choice[];
};

function settingsOf({ task, pair, config, other, mirrored, choices }: Read): ApplySettings {
  const here = destinationOf(task.direction);
  const there = sourceOf(task.direction);
  const role: Role = here === pair.arbiter ? 'arbiter' : 'follower';
  // Both sides must agree on who decides: the task that ends at the arbiter says it.
  const deciding = role === 'arbiter' ? config : other;
  const { operations } = config;
  const wanted = new Map([
    [tag.insert as number, operations.insert],
    [tag.update, operations.update],
    [tag.delete, operations.delete],
    [tag.truncate, operations.truncate],
  ]);
  const together = isDecidedTogether(deciding, deciding === config ? other : config);
  return {
    opposite: oppositeTask(task.id),
    here,
    there,
    arbiter: pair.arbiter,
    // Only what both tasks carry whole, in both directions, can be decided at one side.
    role: (table) => (together && mirrored(table) ? role : 'alone'),
    settings: conflictSettings(config, task),
    choice: (first, last, table, of) =>
      findChoice(choices, first, last, () => of.map((key) => hashOf(table, key))),
    log: config.conflictLog,
    tombstones: [config, ...config.tablePolicies].some((each) => each.onDeleted === 'by-time'),
    wants: (_, kind) => wanted.get(kind) ?? true,
  };
}

const hashOf = (table: ApplyTable, key: Key): string =>
  keyHash(table.relation, Object.fromEntries(table.key.map((k, n) => [table.columns[k]!, key[n]!])));
