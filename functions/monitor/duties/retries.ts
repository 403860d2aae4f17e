import { errors, type RetryClock } from '../../../shared/errors/table.ts';
import type { Endpoint } from '../../../shared/task/schema.ts';
import type { Duty, Watched } from '../duty.ts';

const MINUTE_MS = 60_000;

/** Ends the retrying of tasks whose time is up: Failed, nothing lost, to be taken up again by `retry`. */
export const retries: Duty = {
  name: 'retries',
  async run({ watched, repository, now, log }) {
    for (const { task, minutes, clock } of expired(watched, now)) {
      const cause =
        clock === 'never'
          ? `The error ${task.error?.code} does not go away by itself.`
          : `Retried for ${minutes} minutes without success (${task.error?.code ?? 'unknown error'}).`;
      // A task that recovered since, and perhaps failed anew, is not stopped.
      const gaveUp = await repository.tryMove(task.id, 'give-up', {
        ...{ cause, actor: 'monitor', from: 'Retrying' },
        ...(task.retryingSince ? { retryingSince: task.retryingSince } : {}),
      });
      if (gaveUp) log.warn('task gave up retrying', { task: task.id, minutes, code: task.error?.code });
    }
  },
};

export type Expired = {
  readonly task: Watched['task'];
  readonly minutes: number;
  readonly clock: RetryClock;
};

/**
 * The tasks in Retrying for longer than their retry minutes. For failed connections the shortest time of all tasks
 * that use one of the task's databases counts: they fail together, and the strictest owner decides.
 */
export function expired(watched: readonly Watched[], now: Date): Expired[] {
  const shortest = shortestByDatabase(watched);
  return watched.flatMap(({ task, pair, config }) => {
    if (task.state !== 'Retrying' || !task.retryingSince || !config) return [];
    const clock = clockOf(task.error?.code);
    const minutes = {
      never: 0,
      other: config.retryOtherMinutes,
      connection: Math.min(...databasesOf(pair.sides).map((d) => shortest.get(d) ?? Infinity)),
    }[clock];
    const elapsedMs = now.getTime() - Date.parse(task.retryingSince);
    return elapsedMs >= minutes * MINUTE_MS ? [{ task, minutes, clock }] : [];
  });
}

/** What the table of errors does not know counts as `other`. */
const clockOf = (code: string | undefined): RetryClock =>
  code !== undefined && Object.hasOwn(errors, code) ? errors[code as keyof typeof errors].retry : 'other';

function shortestByDatabase(watched: readonly Watched[]): Map<string, number> {
  const shortest = new Map<string, number>();
  for (const { task, pair, config } of watched) {
    if (!config || task.state === 'Released') continue;
    for (const database of databasesOf(pair.sides)) {
      const known = shortest.get(database) ?? Infinity;
      shortest.set(database, Math.min(known, config.retryConnectionMinutes));
    }
  }
  return shortest;
}

const databasesOf = (sides: Readonly<Record<'a' | 'b', Endpoint>>): string[] =>
  Object.values(sides).map(({ host, port, database }) =>
    JSON.stringify([host.toLowerCase(), port, database]),
  );
