import {
  type Action,
  actions,
  type PairView,
  type TaskDetail,
  type TaskView,
} from '../../shared/client/contract.ts';
import { etagOfPair } from '../../shared/client/etag.ts';
import { allowedInputs } from '../../shared/task/machine.ts';
import { directions, type Pair, type Task, taskIdOf } from '../../shared/task/schema.ts';
import type { ApiDeps } from './deps.ts';
import { isDeleting } from './pairs.ts';
import { getReport } from './precheck/store.ts';

/** What a person may do in this state, for as far as the task alone tells. */
export function allowedActions(task: Task): Action[] {
  const inputs: readonly string[] = allowedInputs(task.state);
  const needsConfig: readonly Action[] = ['precheck', 'start'];
  return actions.filter(
    (action) => inputs.includes(action) && (task.configVersion > 0 || !needsConfig.includes(action)),
  );
}

/** A task with its figures, as the API shows it. */
export async function viewTask({ repository }: ApiDeps, task: Task): Promise<TaskView> {
  const [status, report] = await Promise.all([
    repository.getStatus(task.id),
    getReport(repository.table, task.id),
  ]);
  const { id, pairId, direction, state, version, generation, autoStart, createdAt, updatedAt } = task;
  return {
    ...{ id, pairId, direction, state, version, generation },
    configured: task.configVersion > 0,
    autoStart,
    allowedActions: allowedActions(task),
    ...(task.limits ? { limits: task.limits } : {}),
    ...(task.returnTo ? { returnTo: task.returnTo } : {}),
    ...(task.retryingSince ? { retryingSince: task.retryingSince } : {}),
    ...(task.error ? { error: task.error } : {}),
    ...(status ? { status } : {}),
    // A report of an older configuration says nothing of this one.
    ...(report && report.configVersion === task.configVersion
      ? { precheck: { at: report.at, successRate: report.successRate, ready: report.ready } }
      : {}),
    createdAt,
    updatedAt,
  };
}

/** A task with its configuration and newest events. */
export async function viewTaskDetail(deps: ApiDeps, task: Task): Promise<TaskDetail> {
  const [view, config] = await Promise.all([
    viewTask(deps, task),
    task.configVersion > 0 ? deps.repository.getConfig(task) : undefined,
  ]);
  return { ...view, ...(config ? { config } : {}), events: task.events.toReversed() };
}

/** A pair with both tasks, and the tag that names this version of it. */
export async function viewPair(deps: ApiDeps, pair: Pair): Promise<{ view: PairView; etag: string }> {
  const tasks = await Promise.all(
    directions.map((direction) => deps.repository.getTask(taskIdOf(pair.id, direction))),
  );
  const [deleting, ...views] = await Promise.all([
    isDeleting(deps.repository, pair.id),
    ...tasks.map((task) => viewTask(deps, task)),
  ]);
  const [forward, reverse] = views as [TaskView, TaskView];
  const { id, name, environment, pool, arbiter, shards, sides, createdAt } = pair;
  const view: PairView = {
    ...{ id, name, pool, arbiter, shards, sides, createdAt, deleting },
    ...(environment === undefined ? {} : { environment }),
    tasks: { forward, reverse },
  };
  return { view, etag: etagOfPair(tasks) };
}
