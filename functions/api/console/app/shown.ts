import type { ApiClient } from '../../../../shared/client/client.ts';
import type { PairView, TaskView } from '../../../../shared/client/contract.ts';
import { etagOfPair, etagOfTask } from '../../../../shared/client/etag.ts';
import { asPgtwinError } from '../../../../shared/errors/pgtwin-error.ts';
import type { Direction, TaskEvent } from '../../../../shared/task/schema.ts';
import { directions, nameOfTask, timeOf, wordsOfState } from './words.ts';

/** What a person was shown who is asked: what they then want is meant for that, and for nothing newer. */
export type Shown = {
  /** ETag of it, for If-Match. */
  readonly tag: string;
  /** What it is now, and in words what has changed since. */
  readonly look: (api: ApiClient) => Promise<Looked>;
};
export type Looked = { readonly now: Shown; readonly changes: readonly string[] };

export const shownPair = (pair: Pick<PairView, 'id' | 'tasks'>): Shown =>
  shownTasks(pair.id, etagOfPair, [pair.tasks.forward, pair.tasks.reverse]);
export const shownTask = (task: TaskView): Shown =>
  shownTasks(task.pairId, ([only]) => etagOfTask(only!), [task]);

function shownTasks(
  pair: string,
  tagOf: (tasks: readonly TaskView[]) => string,
  tasks: readonly TaskView[],
): Shown {
  return {
    tag: tagOf(tasks),
    async look(api) {
      const found = await Promise.all(tasks.map(({ direction }) => api.getTask(pair, direction)));
      const changes = found.flatMap((now, n) => {
        const before = tasks[n]!;
        if (now.version === before.version) return [];
        const since = now.events.filter(({ at }) => at > before.updatedAt);
        return since.length > 0
          ? since.map((event) => wordsOfEvent(now.direction, event))
          : [`${nameOfTask[now.direction]}: changed ${timeOf(now.updatedAt)}.`];
      });
      return { now: shownTasks(pair, tagOf, found), changes };
    },
  };
}

function wordsOfEvent(direction: Direction, { at, from, to, cause, actor }: TaskEvent): string {
  const move = from === to ? '' : `${wordsOfState(from)} became ${wordsOfState(to)}: `;
  return `${nameOfTask[direction]}: ${move}${cause} (by ${actor}, ${timeOf(at)}).`;
}

/** Whether the API refused something because it is not any more what was shown. */
export const isChangedMeanwhile = (thrown: unknown): boolean =>
  thrown !== undefined && asPgtwinError(thrown).code === 'conflict-of-versions';

/** In words, which fields of two values of the same kind differ; what is left out counts as null. */
export function differingFields(before: unknown, now: unknown, path = ''): string[] {
  if (JSON.stringify(before ?? null) === JSON.stringify(now ?? null)) return [];
  if (isRecord(before) && isRecord(now))
    return [...new Set([...Object.keys(before), ...Object.keys(now)])].flatMap((name) =>
      differingFields(before[name], now[name], path === '' ? name : `${path}.${name}`),
    );
  return [`${path}: ${JSON.stringify(now ?? null)}, was ${JSON.stringify(before ?? null)}`];
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Reads what both tasks of a pair have stored now, against what was stored before. */
export async function changedConfigs(
  api: ApiClient,
  pair: string,
  before: Readonly<Record<Direction, string>>,
): Promise<string[]> {
  const now = await Promise.all(directions.map((direction) => api.getTask(pair, direction)));
  return directions.flatMap((direction, n) => {
    const fields = differingFields(JSON.parse(before[direction]), now[n]!.config);
    return fields.map((field) => `${nameOfTask[direction]}, ${field}`);
  });
}
