import type { Key } from '../../shared/conflict/rows.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { qualified } from '../../shared/postgres/ident.ts';
import { tag } from '../../shared/postgres/pgoutput.ts';
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
import { operationsOf } from '../../shared/task/table-rules.ts';
import { isDecidedTogether } from '../../shared/task/together.ts';
import type { ApplySettings } from './apply-settings.ts';
import { conflictSettings } from './conflict-settings.ts';
import type { Role } from './exact.ts';
import { mirroredBy } from './mirrored.ts';
import { type TaskObjects, taskObjects } from './objects.ts';
import type { ApplyTable } from './tables.ts';

/** What apply knows of a task from the table; read again when it is old or a message has a newer configuration. */
export type TaskContext = {
  readonly pair: Pair;
  readonly task: Task;
  readonly config: TaskConfig;
  readonly settings: ApplySettings;
  readonly objects: TaskObjects;
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
  const objects = taskObjects(config, prepared.list);
  const both = other && otherPrepared && { config: other, prepared: otherPrepared.list };
  const mirrored = mirroredBy(config, prepared.list, both);
  const foreignKeys = new Map(prepared.list.map((t) => [qualified(t.schema, t.name), t.references ?? []]));
  const references = ({ source }: ApplyTable) => foreignKeys.get(qualified(source.schema, source.name)) ?? [];
  const settings = settingsOf({ task, pair, config, other, mirrored, choices, objects, references });
  return { pair, task, config, objects, readAt: now, settings };
}

type Read = {
  readonly task: Task;
  readonly pair: Pair;
  readonly config: TaskConfig;
  /** The opposite task's, if it is configured. */
  readonly other: TaskConfig | undefined;
  readonly mirrored: (table: ApplyTable) => boolean;
  /** Signatures of the foreign keys that a table has on the source. */
  readonly references: (table: ApplyTable) => readonly string[];
  readonly choices: readonly Choice[];
  readonly objects: TaskObjects;
};

function settingsOf({
  task,
  pair,
  config,
  other,
  mirrored,
  choices,
  objects,
  references,
}: Read): ApplySettings {
  const here = destinationOf(task.direction);
  const there = sourceOf(task.direction);
  const role: Role = here === pair.arbiter ? 'arbiter' : 'follower';
  // Both sides must agree on who decides: the task that ends at the arbiter says it.
  const deciding = role === 'arbiter' ? config : other;
  const forward = task.direction === 'forward' ? config : other;
  const wants = new WeakMap<ApplyTable, ReadonlyMap<number, boolean>>();
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
    references: {
      rule: deciding?.missingParent ?? 'restore-parent',
      // What side b has of side a's schema was made before its foreign keys were.
      isKnown: (child, signature) =>
        references !== undefined && (forward?.types.schema === true || references(child).includes(signature)),
    },
    tombstones: [config, ...config.tablePolicies].some((each) => each.onDeleted === 'by-time'),
    wants(table, kind) {
      let wanted = wants.get(table);
      if (!wanted) {
        wanted = wantedOf(config, table);
        wants.set(table, wanted);
      }
      return wanted.get(kind) ?? true;
    },
    shapeOf: objects.shapeOf,
  };
}

function wantedOf(config: TaskConfig, { source }: ApplyTable): Map<number, boolean> {
  const operations = operationsOf(config, source);
  return new Map<number, boolean>([
    [tag.insert, operations.insert],
    [tag.update, operations.update],
    [tag.delete, operations.delete],
    [tag.truncate, operations.truncate],
  ]);
}

const hashOf = (table: ApplyTable, key: Key): string =>
  keyHash(table.relation, Object.fromEntries(table.key.map((k, n) => [table.columns[k]!, key[n]!])));
