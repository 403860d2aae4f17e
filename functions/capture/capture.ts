import { randomUUID } from 'node:crypto';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { capturedStates } from '../../shared/task/machine.ts';
import { directionOfTask, oppositeTask, type Task } from '../../shared/task/schema.ts';
import { type Lease, LeaseTaker, type LeaseTimes, leaseTimes } from './lease.ts';
import { Members } from './members.ts';
import { type CaptureDeps, TaskRunner } from './runner.ts';
import { StoppedTasks } from './stopped.ts';

export type CaptureOptions = CaptureDeps & {
  /** Which tasks are picked up, by their pair's label. */
  readonly pool: string;
  readonly lease?: LeaseTimes;
};

/**
 * The capture service: looks for tasks that need a capture and whose lease it can take, and runs them side by side.
 * Several services share the tasks; those of a dead one are taken over when its leases expire.
 */
export async function runCapture(options: CaptureOptions, signal: AbortSignal): Promise<void> {
  const { repository, clock, log, pool, pollMs } = options;
  const owner = randomUUID();
  const times = options.lease ?? leaseTimes;
  const { table } = repository;
  const leases = new LeaseTaker({ table, owner, times, clock });
  const members = new Members({ table, owner, pool, times, clock });
  const stopped = new StoppedTasks(options, leases);
  const running = new Map<string, Runner>();
  const pools = new Map<string, string>();
  const start = (lease: Lease): void => {
    const giveBack = new AbortController();
    const done = new TaskRunner(options, lease, AbortSignal.any([signal, giveBack.signal]))
      .run()
      .catch((error: unknown) => log.error('task runner ended', { task: lease.taskId, error }))
      .finally(() => running.delete(lease.taskId));
    running.set(lease.taskId, { done, giveBack });
  };
  log.info('capture started', { owner, pool });
  while (!signal.aborted) {
    try {
      const tasks = await repository.listTasks();
      const own: Task[] = [];
      for (const task of tasks) {
        if (!pools.has(task.pairId)) await readPool(repository, task.pairId, pools);
        if (pools.get(task.pairId) === pool) own.push(task);
      }
      const wanted = own.filter(({ state }) => capturedStates.includes(state));
      // Runners that are just ending do not count.
      const mine = () => wanted.filter(({ id }) => running.has(id)).length;
      const share = await members.share(wanted.length, mine());
      for (const task of own) {
        if (signal.aborted) break;
        await startByItself(options, task, tasks);
        // Beside the others: a database that does not answer must not keep them waiting.
        void stopped.look(task);
        if (running.has(task.id) || !capturedStates.includes(task.state) || mine() >= share) continue;
        const lease = await leases.take(task.id);
        if (lease) start(lease);
      }
      giveBackOne(running, share, wanted)?.abort();
    } catch (error) {
      log.warn('tasks can not be listed, will try again', { error });
    }
    await clock.sleep(pollMs, signal);
  }
  await Promise.all([...[...running.values()].map(({ done }) => done), stopped.settled()]);
  await members.leave().catch(() => {});
  log.info('capture stopped', { owner });
}

/** A pair that is just being made has its tasks first: it is asked for again. */
async function readPool(
  repository: CaptureOptions['repository'],
  pairId: string,
  pools: Map<string, string>,
): Promise<void> {
  const pair = await repository.getPair(pairId).catch((error: unknown) => {
    if (error instanceof PgtwinError && error.code === 'not-found') return undefined;
    throw error;
  });
  if (pair) pools.set(pairId, pair.pool);
}

type Runner = { readonly done: Promise<void>; readonly giveBack: AbortController };

/** One that another capture may have, of those that only stream: a copy would have to begin again. */
function giveBackOne(
  running: ReadonlyMap<string, Runner>,
  share: number,
  tasks: readonly Task[],
): AbortController | undefined {
  const kept = tasks.flatMap(({ id, state }) => {
    const runner = running.get(id);
    return runner && !runner.giveBack.signal.aborted ? [{ state, runner }] : [];
  });
  if (kept.length <= share) return undefined;
  return kept.findLast(({ state }) => state === 'Running')?.runner.giveBack;
}

/** A reverse task configured together with the forward one starts when that one is Running. */
async function startByItself(
  { repository }: CaptureOptions,
  task: Task,
  all: readonly Task[],
): Promise<void> {
  if (!task.autoStart || task.state !== 'PrecheckPassed' || directionOfTask(task.id) !== 'reverse') return;
  const forward = all.find((other) => other.id === oppositeTask(task.id));
  if (forward?.state !== 'Running') return;
  await repository.tryMove(task.id, 'start', { cause: 'the forward task is Running', actor: 'capture' });
}
