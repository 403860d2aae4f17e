import { failureOf, isSnapshotGone, reportFailure } from '../../shared/copy/failure.ts';
import { type CopyItem, type CopyMessage, readCopyMessage, relationOf } from '../../shared/copy/work.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { EtlPlan } from '../../shared/etl/plan.ts';
import type { Log } from '../../shared/log/log.ts';
import type { Target } from '../../shared/postgres/connect.ts';
import { codeOf, isConnectionError, isTransient, sqlstate } from '../../shared/postgres/sqlstate.ts';
import { type SecretStore, targetOf } from '../../shared/task/ports.ts';
import { readPrepared } from '../../shared/task/prepared.ts';
import type { Repository } from '../../shared/task/repository.ts';
import { destinationOf, sourceOf, type Task } from '../../shared/task/schema.ts';
import { etlOf } from '../../shared/task/table-etl.ts';
import { copyChunk } from './copy-chunk.ts';
import { openPace } from './paced.ts';
import { type CopySession, openSession } from './session.ts';

/** One record of the work queue; `receives` counts deliveries, this one included. */
export type WorkRecord = { readonly id: string; readonly body: string; readonly receives: number };

export type WorkDeps = {
  readonly repository: Repository;
  readonly secrets: SecretStore;
  readonly log: Log;
  /** What is left of this invocation. */
  readonly remainingMs: () => number;
  /** Stands for the servers in tests. */
  readonly open?: (source: Target, destination: Target, application: string) => Promise<CopySession>;
};

/** A cause that may go away is tried again so often before the coordinator is told. */
const MOST_RECEIVES = 5;
/** So much before the function would be ended, a chunk is given up, so that it can still be reported. */
const RESERVE_MS = 5_000;
/** So often a worker looks whether its chunks are still wanted. */
const LOOK_MS = 2_000;
/** Data exceptions and internal errors, such as "malformed tsquery". */
const BINARY_REFUSED = /^(22|XX)/;

/**
 * Copies what the records ask for, one after another. Gives the ids of records that the queue shall deliver again. A
 * record is done also when its failure has been reported: the coordinator decides what comes next.
 */
export async function runWork(records: readonly WorkRecord[], deps: WorkDeps): Promise<string[]> {
  const again: string[] = [];
  for (const record of records) {
    const signal = AbortSignal.timeout(Math.max(0, deps.remainingMs() - RESERVE_MS));
    try {
      await runMessage(readCopyMessage(record.body), record, deps, signal);
    } catch (error) {
      deps.log.warn('work put back', { receives: record.receives, ...failureOf(error) });
      again.push(record.id);
    }
  }
  return again;
}

async function runMessage(
  message: CopyMessage,
  record: WorkRecord,
  deps: WorkDeps,
  signal: AbortSignal,
): Promise<void> {
  const { task: taskId, attempt } = message;
  const log = deps.log.with({ task: taskId, attempt, lane: message.lane });
  const task = await stillWanted(message, deps);
  if (!task) return log.debug?.('work is out of date');
  const pair = await deps.repository.getPair(task.pairId);
  const source = await targetOf(pair.sides[sourceOf(task.direction)], deps.secrets);
  const destination = await targetOf(pair.sides[destinationOf(task.direction)], deps.secrets);
  const open = deps.open ?? openSession;

  const { pace, close } = openPace(deps.repository, task, message.lanes);
  let lookedAt = performance.now();
  let session: CopySession | undefined;
  const cut = (): void => session?.destroy();
  signal.addEventListener('abort', cut);
  try {
    for (let n = 0, change: Partial<CopyItem> = {}; n < message.items.length; ) {
      const item = { ...message.items[n]!, ...change };
      session ??= await open(source, destination, `pgtwin ${taskId} copy`);
      try {
        const started = performance.now();
        const etl = await etlFor(deps, task, item);
        const copied = await copyChunk(session, message, item, { etl, pace, signal });
        const ms = Math.round(performance.now() - started);
        const what = { table: relationOf(item.table), chunk: item.chunk, merge: item.merge, ms };
        log.debug?.(copied ? 'chunk copied' : 'chunk was done', what);
      } catch (error) {
        cut();
        session = undefined;
        const other = signal.aborted ? undefined : otherWay(item, error);
        if (other) {
          change = { ...change, ...other };
          continue;
        }
        const cause = signal.aborted ? outOfTime() : error;
        if (mayHeal(cause) && record.receives < MOST_RECEIVES) throw cause;
        const failure = failureOf(blocked(cause) ?? cause);
        const what = { relation: relationOf(item.table), chunk: item.chunk, ...failure };
        log.warn('chunk failed', what);
        await reportFailure(
          deps.repository.table,
          { task: taskId, attempt },
          { ...what, at: new Date().toISOString() },
        );
        return;
      }
      n++;
      change = {};
      // A task that was paused or released meanwhile waits for the chunk that runs, not for all of the message.
      if (performance.now() - lookedAt >= LOOK_MS) {
        if (!(await stillWanted(message, deps))) return;
        lookedAt = performance.now();
      }
    }
  } finally {
    close();
    signal.removeEventListener('abort', cut);
    await session?.close();
  }
}

/** The steps for the rows of a chunk, as the task was prepared with them. */
async function etlFor(
  { repository }: WorkDeps,
  task: Task,
  { source }: CopyItem,
): Promise<EtlPlan | undefined> {
  if (!source) return undefined;
  const [config, prepared] = await Promise.all([
    repository.getConfig(task),
    readPrepared(repository.table, task.id),
  ]);
  const table = prepared?.list.find((each) => each.schema === source.schema && each.name === source.name);
  const etl = table && etlOf(config.objects, table);
  if (!etl)
    throw new PgtwinError('copy-failed', { detail: `The steps of ${source.name} are not there any more.` });
  return etl;
}

/** What a chunk is tried again with. */
function otherWay(item: CopyItem, error: unknown): Partial<CopyItem> | undefined {
  // Rows are there that were not expected: those are kept, and the chunk's others added to them.
  if (codeOf(error) === sqlstate.uniqueViolation && !item.merge) return { merge: true };
  // The server does not read back every value that it writes in binary.
  if (BINARY_REFUSED.test(codeOf(error)) && item.format === 'binary') return { format: 'text' };
  return undefined;
}

/**
 * The task, if it is still being initialized in the message's generation. After an error it is Retrying until the
 * capture has told that it goes on, which may be after its first message; what a former attempt sent ends at its fence.
 */
async function stillWanted(message: CopyMessage, { repository }: WorkDeps): Promise<Task | undefined> {
  try {
    const task = await repository.getTask(message.task);
    const wanted = task.state === 'Initializing' || task.state === 'Retrying';
    return wanted && task.generation === message.generation ? task : undefined;
  } catch (error) {
    if (error instanceof PgtwinError && error.code === 'not-found') return undefined;
    throw error;
  }
}

const outOfTime = (): PgtwinError =>
  new PgtwinError('function-timeout', {
    detail: 'The chunk took longer than the function may run; choose a smaller chunkRows.',
  });

/** Only the source has a lock timeout. */
const blocked = (error: unknown): PgtwinError | undefined =>
  codeOf(error) === sqlstate.lockNotAvailable
    ? new PgtwinError('copy-failed', {
        detail:
          'A session of the source waits for an exclusive lock on the table (ALTER TABLE, TRUNCATE, ...).',
        sqlstate: sqlstate.lockNotAvailable,
      })
    : undefined;

const mayHeal = (error: unknown): boolean =>
  !isSnapshotGone(error) &&
  (isConnectionError(error) ||
    isTransient(error) ||
    (error instanceof PgtwinError && error.rule.retry === 'connection'));
