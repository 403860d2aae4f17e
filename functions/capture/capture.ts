import { randomUUID } from 'node:crypto';
import { capturedStates } from '../../shared/task/machine.ts';
import { directionOfTask, oppositeTask, type Task } from '../../shared/task/schema.ts';
import { LeaseTaker, type LeaseTimes, leaseTimes } from './lease.ts';
import { type CaptureDeps, TaskRunner } from './runner.ts';

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
  const leases = new LeaseTaker({
    table: repository.table,
    owner,
    times: options.lease ?? leaseTimes,
    clock,
  });
  const running = new Map<string, Promise<void>>();
  const pools = new Map<string, string>();
  log.info('capture started', { owner, pool });
  while (!signal.aborted) {
    try {
      const tasks = await repository.listTasks();
      for (const task of tasks) {
        if (signal.aborted) break;
        if (!pools.has(task.pairId)) pools.set(task.pairId, (await repository.getPair(task.pairId)).pool);
        if (pools.get(task.pairId) !== pool) continue;
        await startByItself(options, task, tasks);
        if (running.has(task.id) || !capturedStates.includes(task.state)) continue;
        const lease = await leases.take(task.id);
        if (!lease) continue;
        const run = new TaskRunner(options, lease, signal)
          .run()
          .catch((error: unknown) => log.error('task runner ended', { task: task.id, error }))
          .finally(() => running.delete(task.id));
        running.set(task.id, run);
      }
    } catch (error) {
      log.warn('tasks can not be listed, will try again', { error });
    }
    await clock.sleep(pollMs, signal);
  }
  await Promise.all(running.values());
  log.info('capture stopped', { owner });
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
