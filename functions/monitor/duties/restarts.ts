import { type Direction, directions } from '../../../shared/task/schema.ts';
import { verifyOptions } from '../../../shared/verify/model.ts';
import { startRun } from '../../../shared/verify/start.ts';
import { VerificationStore } from '../../../shared/verify/store.ts';
import type { Duty, Watched } from '../duty.ts';
import { isWanting, repairAfterRestart } from './restart-repair.ts';

/**
 * A task that was restarted has copied again and kept the rows that were there: what its former stream had not carried
 * of them is in neither stream. So once both tasks of the pair run, their rows are compared, and the history says what
 * differs. Nothing is repaired: who changed a row meanwhile is not known, so which side is right is for a person to
 * say, at best with the restart. A run that knows of these generations is not repeated, whoever asked for it and
 * however it ended.
 */
export const restarts: Duty = {
  name: 'restarts',
  async run({ repository, watched, log, now }) {
    const notStarted = (pair: string, error: unknown) =>
      log.warn('verification after a restart not started', { pair, error });
    const store = new VerificationStore(repository.table);
    for (const pair of new Set(watched.map(({ task }) => task.pairId))) {
      const tasks = watched.filter(({ task }) => task.pairId === pair);
      if (tasks.some(({ task }) => isWanting(task))) {
        const both = tasks.map(({ task }) => task);
        await repairAfterRestart({ repository, log, now }, pair, both).catch((error) =>
          notStarted(pair, error),
        );
        continue;
      }
      if (tasks.length < directions.length || !tasks.every(({ task }) => task.state === 'Running')) continue;
      if (!tasks.some((each) => isRestarted(each))) continue;
      const { runs } = await store.list(pair, { limit: 1 });
      if (!tasks.some((each) => isRestarted(each, runs[0]?.generations))) continue;
      // Another monitor, or a person, may have been faster: looked at again in the next round.
      await startRun({ repository, now: () => now }, pair, verifyOptions.parse({}), 'monitor').catch(
        (error) => notStarted(pair, error),
      );
    }
  },
};

/** Copied again, and not yet looked at in this generation. */
const isRestarted = ({ task, config }: Watched, verified?: Readonly<Record<Direction, number>>): boolean =>
  config?.types.full === true && task.generation > (verified?.[task.direction] || 1);
