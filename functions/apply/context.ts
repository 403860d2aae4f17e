import type { Key } from '../../shared/conflict/rows.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { qualified } from '../../shared/postgres/ident.ts';
import { tag } from '../../shared/postgres/pgoutput.ts';
import { type Choice, findChoice, keyHash, readChoices } from '../../shared/task/choice.ts';
import { mayStop } from '../../shared/task/conflict-config.ts';
import { type Placing, placingOf } from '../../shared/task/placing.ts';
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
  /** The opposite task as it was then. */
  readonly other: Task;
  /** When all of it was read; at `readAt` it may have been no more than looked whether anything has changed. */
  readonly wholeAt: number;
};

/** Whatever the tasks' versions say: so old at most is what was read of lists and configurations. */
const WHOLE_MAX_MS = 60_000;

/**
 * Reads what apply needs to know of a task. Costs one request while nothing changes: what `former` has of
 * configurations and table lists (several items for thousands of tables) stays right until a task is written.
 */
export async function readContext(
  repository: Repository,
  taskId: string,
  now: number,
  former?: TaskContext,
): Promise<TaskContext> {
  // Before all the rest: what is changed while that is read has a higher version at the next look.
  const { task, other } = await repository.getTaskWithOpposite(taskId);
  const context =
    former && isAsBefore(former, task, other, now)
      ? { ...former, readAt: now }
      : await readWhole(repository, task, other, now);
  if (!mayStop(context.config)) return context;
  // A person's choice of how a conflict ends is no write of the task.
  const choices = await readChoices(repository.table, taskId, task.generation);
  return { ...context, settings: { ...context.settings, choice: choiceFrom(choices) } };
}

function isAsBefore(former: TaskContext, task: Task, other: Task, now: number): boolean {
  const isSame = (one: Task, before: Task): boolean =>
    one.version === before.version && one.createdAt === before.createdAt;
  return (
    isSame(task, former.task) &&
    isSame(other, former.other) &&
    // Its capture is making the lists, also the opposite one's, and writes no task at each of them.
    ![task, other].some((each) => each.state === 'Initializing' || each.returnTo === 'Initializing') &&
    now - former.wholeAt < WHOLE_MAX_MS
  );
}

async function readWhole(
  repository: Repository,
  task: Task,
  opposite: Task,
  now: number,
): Promise<TaskContext> {
  const { table } = repository;
  const [pair, config, prepared, otherPrepared, other] = await Promise.all([
    repository.getPair(task.pairId),
    repository.getConfig(task),
    readPrepared(table, task.id),
    readPrepared(table, opposite.id),
    opposite.configVersion > 0 ? repository.getConfig(opposite) : undefined,
  ]);
  if (!prepared)
    throw new PgtwinError('gap-not-healable', { detail: `Task ${task.id} has not been prepared.` });
  const objects = taskObjects(config, prepared.list);
  const both = other && otherPrepared && { config: other, prepared: otherPrepared.list };
  const mirrored = mirroredBy(config, prepared.list, both);
  const foreignKeys = new Map(prepared.list.map((t) => [qualified(t.schema, t.name), t.references ?? []]));
  const references = ({ source }: ApplyTable) => foreignKeys.get(qualified(source.schema, source.name)) ?? [];
  const placing = placingOf(prepared.list, pair.shards);
  const settings = settingsOf({ task, pair, config, other, mirrored, objects, references, placing });
  return { pair, task, config, objects, settings, other: opposite, readAt: now, wholeAt: now };
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
  readonly objects: TaskObjects;
  readonly placing: Placing;
};

function settingsOf(read: Read): ApplySettings {
  const { task, pair, config, other, mirrored, objects, references, placing } = read;
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
    choice: choiceFrom([]),
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
    placing,
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

const choiceFrom =
  (choices: readonly Choice[]): ApplySettings['choice'] =>
  (first, last, table, of) =>
    findChoice(choices, first, last, () => of.map((key) => hashOf(table, key)));

const hashOf = (table: ApplyTable, key: Key): string =>
  keyHash(table.relation, Object.fromEntries(table.key.map((k, n) => [table.columns[k]!, key[n]!])));
