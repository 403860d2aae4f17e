import { PgtwinError } from '../errors/pgtwin-error.ts';
import { readPrepared } from '../task/prepared.ts';
import type { Repository } from '../task/repository.ts';
import { type Direction, directions, type Task, type TaskConfig, taskIdOf } from '../task/schema.ts';
import { freshProgress, noCounts, type Verification, type VerifyOptions } from './model.ts';
import { newRunId, type StoredRun, VerificationStore } from './store.ts';
import { chosenTwins, type SkippedTwin, skippedTwins, type TwinName, twinNames } from './twin.ts';
import { wordsOfWinner } from './winner.ts';

/** Runs of a pair that are kept. */
const KEPT = 10;

type Started = {
  readonly forward: Task;
  readonly reverse: Task;
  /** Those whose rows should be alike, and all. */
  readonly twins: readonly TwinName[];
  readonly all: readonly TwinName[];
  readonly skipped: readonly SkippedTwin[];
  /** Of the tasks that have tables. */
  readonly configs: Readonly<Partial<Record<Direction, TaskConfig>>>;
};

/** Both tasks and the tables that they have, as prepared. */
export async function readTwins(repository: Repository, pairId: string): Promise<Started> {
  const [forward, reverse] = await Promise.all(
    directions.map((direction) => repository.getTask(taskIdOf(pairId, direction))),
  );
  const tablesOf = async (task: Task) => {
    if (task.generation === 0 || task.state === 'Released') return undefined;
    const [config, prepared] = await Promise.all([
      repository.getConfig(task),
      readPrepared(repository.table, task.id),
    ]);
    return prepared && { config, list: prepared.list };
  };
  const [there, back] = await Promise.all([tablesOf(forward!), tablesOf(reverse!)]);
  const [twins, all] = [twinNames(there, back), twinNames(there, back, { partial: true })];
  const configs = {
    ...(there ? { forward: there.config } : {}),
    ...(back ? { reverse: back.config } : {}),
  };
  return { forward: forward!, reverse: reverse!, twins, all, skipped: skippedTwins(there, back), configs };
}

/** Stores a new run, for the monitor to work on. Throws `action-not-allowed` while the tasks do not run. */
export async function startRun(
  { repository, now }: { readonly repository: Repository; readonly now: () => Date },
  pairId: string,
  options: VerifyOptions,
  actor: string,
  because = '',
): Promise<StoredRun> {
  const { forward, reverse, twins, skipped: all } = await readTwins(repository, pairId);
  for (const task of [forward, reverse])
    if (task.generation > 0 && task.state !== 'Running' && task.state !== 'Finished')
      throw new PgtwinError('action-not-allowed', {
        detail: `A verification needs tasks that run: the ${task.direction} task is ${task.state}.`,
      });
  if (forward.generation === 0)
    throw new PgtwinError('action-not-allowed', { detail: 'The forward task has not been started yet.' });
  const [chosen, skipped] = [chosenTwins(twins, options.tables), chosenTwins(all, options.tables)];
  if (chosen.length === 0)
    throw new PgtwinError('invalid-request', {
      field: 'tables',
      detail:
        skipped.length > 0
          ? `tables: nothing can be compared. ${skipped[0]!.names.a.schema}.${skipped[0]!.names.a.name}: ${skipped[0]!.reason}`
          : 'tables: no table of the tasks has such a name.',
    });
  const at = now().toISOString();
  const run: Verification = {
    ...{ v: 1, id: newRunId(now()), pairId, status: 'verifying', options, by: actor },
    ...{
      startedAt: at,
      updatedAt: at,
      leaseUntil: at,
      tables: chosen.length,
      tablesDone: 0,
      tablesFailed: 0,
      tablesSkipped: skipped.length,
    },
    counts: noCounts,
    generations: { forward: forward.generation, reverse: reverse.generation },
    progress: freshProgress(0),
  };
  const store = new VerificationStore(repository.table);
  const reports = skipped.map(({ names, way, reason }, n) => ({
    ...{ number: chosen.length + n, a: names.a, b: names.b, way, counts: noCounts, seconds: 0, keysKept: 0 },
    ...{ notes: [], skipped: reason },
  }));
  await store.start(run, reports);
  await store.forgetOld(pairId, KEPT);
  const what = `verification ${run.id} (${options.mode}) was asked for${because}, ${run.tables} tables${skipped.length > 0 ? ` (${skipped.length} with a filter or steps are not compared)` : ''}`;
  const cause = what + (options.repair ? `, ${wordsOfWinner(options.repair)}` : '');
  await noteRun(repository, run, cause, actor);
  return store.get(pairId, run.id);
}

/** What becomes of a run, as an event of the tasks that it looks at. */
export async function noteRun(
  repository: Repository,
  run: Verification,
  cause: string,
  actor: string,
): Promise<void> {
  for (const direction of directions)
    if (run.generations[direction] > 0)
      await repository.note(taskIdOf(run.pairId, direction), { input: 'verification', cause, actor });
}
