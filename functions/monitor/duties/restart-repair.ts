import { asPgtwinError } from '../../../shared/errors/pgtwin-error.ts';
import { directions, type Task } from '../../../shared/task/schema.ts';
import { type Verification, verifyOptions } from '../../../shared/verify/model.ts';
import { differingRows, isUnderWork } from '../../../shared/verify/run-facts.ts';
import { startRun } from '../../../shared/verify/start.ts';
import { VerificationStore } from '../../../shared/verify/store.ts';
import type { Round } from '../duty.ts';

/** As many differing keys of a table as a run can keep: those beyond are found by the next run. */
const KEYS = 100_000;

type Restarted = Task & { readonly verifyAfter: NonNullable<Task['verifyAfter']> };

export const isWanting = (task: Task): task is Restarted => task.verifyAfter !== undefined;

/** Nothing goes that way: not yet, or no more. */
const isOver = ({ generation, state }: Task): boolean =>
  generation === 0 || state === 'Releasing' || state === 'Released';

/**
 * A restart for which a repair was asked: once both tasks run, a verification with repair is started, again until one
 * has found no more than it could keep. It stays wanted until such a run has ended: a step that is lost is done again,
 * and a run too many finds nothing.
 */
export async function repairAfterRestart(
  round: Pick<Round, 'repository' | 'log' | 'now'>,
  pairId: string,
  tasks: readonly Task[],
): Promise<void> {
  const { repository } = round;
  const wanting = tasks.filter(isWanting);
  for (const task of wanting.filter(isOver))
    await repository.setVerifyAfter(task.id, task.verifyAfter.at, undefined);
  const current = wanting.filter((task) => !isOver(task));
  const store = new VerificationStore(repository.table);
  const open: Restarted[] = [];
  for (const task of current) {
    const { at, run } = task.verifyAfter;
    const found = run === undefined ? undefined : await store.find(pairId, run);
    if (found && isUnderWork(found.run)) return;
    if (found && isEnough(found.run)) await repository.setVerifyAfter(task.id, at, undefined);
    else open.push(task);
  }
  // Only when all run: before that, what differs may still be copied.
  const runs = tasks.every((task) => isOver(task) || task.state === 'Running' || task.state === 'Finished');
  if (open.length === 0 || !runs) return;
  // Of two restarts the later one says who wins.
  const last = open.reduce((one, other) => (one.verifyAfter.at > other.verifyAfter.at ? one : other));
  const { by, winner = 'policy' } = last.verifyAfter;
  const which = directions.filter((each) => open.some(({ direction }) => direction === each)).join(' and ');
  const options = verifyOptions.parse({ maxKeys: KEYS, repair: winner });
  const because = ` after the restart of the ${which} task`;
  const started = await startRun({ repository, now: () => round.now }, pairId, options, by, because).catch(
    (error: unknown) => unlessNothing(error),
  );
  for (const task of open) await repository.setVerifyAfter(task.id, task.verifyAfter.at, started?.run.id);
  if (started) round.log.info('verification after a restart', { pair: pairId, verification: started.run.id });
}

/** A person has ended it; or it has finished, and kept every key that it has found. */
function isEnough({ status, counts, repair }: Verification): boolean {
  if (status === 'cancelled') return true;
  if (status !== 'finished') return false;
  const differing = differingRows(counts);
  const seen = repair ? repair.repaired + repair.refused : 0;
  return differing <= seen || repair?.repaired === 0;
}

/** The pair has no table that can be compared. */
function unlessNothing(error: unknown): undefined {
  if (asPgtwinError(error).code === 'invalid-request') return undefined;
  throw error;
}
