import type { ConfigureBody, RestartBody, TaskParams } from '../../shared/client/contract.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { Repository } from '../../shared/task/repository.ts';
import {
  type Direction,
  oppositeTask,
  type Pair,
  sourceOf,
  type Task,
  type TaskConfig,
  type TaskState,
  taskIdOf,
} from '../../shared/task/schema.ts';
import type { ApiDeps } from './deps.ts';
import { assertSameEndpoint } from './endpoint.ts';
import { runTaskPrecheck } from './precheck/service.ts';

/** The pair and one of its tasks; throws `not-found`. */
export async function readTask(
  { repository }: ApiDeps,
  { id, direction }: TaskParams,
): Promise<{ pair: Pair; task: Task }> {
  const [pair, task] = await Promise.all([
    repository.getPair(id),
    repository.getTask(taskIdOf(id, direction)),
  ]);
  return { pair, task };
}

/** States of the forward task in which the reverse may be configured and started by hand. */
const forwardRuns: readonly TaskState[] = ['Running', 'Retrying'];

function refuseReverse(forward: Task, doing: string): never {
  throw new PgtwinError('action-not-allowed', {
    detail:
      `The reverse task is ${doing} when the forward task is Running; it is ${forward.state}. ` +
      'Or configure both in one call, with "autoStart": true for the reverse task.',
  });
}

/** Splits a body into what is stored and what is only checked. */
function configOf(body: ConfigureBody, pair: Pair, direction: Direction, field: string): TaskConfig {
  const { autoStart, sides, ...config } = body;
  if (autoStart && direction === 'forward')
    throw new PgtwinError('invalid-request', {
      field: `${field}autoStart`,
      detail: `${field}autoStart: is for the reverse task only.`,
    });
  for (const side of ['a', 'b'] as const) {
    const given = sides?.[side];
    if (given) assertSameEndpoint(pair.sides[side], given, `${field}sides.${side}`);
  }
  return config;
}

/** Configures one task. The reverse one only while the forward runs: its objects are chosen anew, then. */
export async function configureTask(
  deps: ApiDeps,
  repository: Repository,
  input: { pair: Pair; task: Task; body: ConfigureBody; actor: string },
): Promise<Task> {
  const { pair, task, body, actor } = input;
  const config = configOf(body, pair, task.direction, '');
  if (task.direction === 'reverse') {
    const forward = await deps.repository.getTask(taskIdOf(pair.id, 'forward'));
    if (!forwardRuns.includes(forward.state)) refuseReverse(forward, 'configured');
  }
  return repository.configure(task.id, config, body.autoStart, { cause: 'configured', actor });
}

/** Configures both tasks in one call; the reverse one must then start by itself, unless the forward runs already. */
export async function configureBoth(
  { repository }: Pick<ApiDeps, 'repository'>,
  input: { pair: Pair; forward: ConfigureBody; reverse: ConfigureBody | undefined; actor: string },
): Promise<{ forward: Task; reverse: Task }> {
  const { pair, forward, reverse, actor } = input;
  const configs = {
    forward: configOf(forward, pair, 'forward', 'forward.'),
    reverse: reverse && configOf(reverse, pair, 'reverse', 'reverse.'),
  };
  const why = { cause: 'configured, both in one call', actor };
  const ids = { forward: taskIdOf(pair.id, 'forward'), reverse: taskIdOf(pair.id, 'reverse') };
  if (reverse && !reverse.autoStart) {
    throw new PgtwinError('invalid-request', {
      field: 'reverse.autoStart',
      detail: 'reverse.autoStart: must be true where both tasks are configured in one call.',
    });
  }
  const configured = await repository.configure(ids.forward, configs.forward, false, why);
  return {
    forward: configured,
    reverse: configs.reverse
      ? await repository.configure(ids.reverse, configs.reverse, true, why)
      : await repository.getTask(ids.reverse),
  };
}

/** Starts a task. A forward task whose reverse is to start by itself starts only if the reverse may start too. */
export async function startTask(
  deps: ApiDeps,
  repository: Repository,
  input: { pair: Pair; task: Task; actor: string },
): Promise<Task> {
  const { pair, task, actor } = input;
  const other = await deps.repository.getTask(
    taskIdOf(pair.id, task.direction === 'forward' ? 'reverse' : 'forward'),
  );
  if (task.direction === 'reverse' && !forwardRuns.includes(other.state)) refuseReverse(other, 'started');
  const together = task.direction === 'forward' && other.autoStart && task.state === 'PrecheckPassed';
  if (together && ['NotConfigured', 'PrecheckFailed'].includes(other.state)) {
    const report = await runTaskPrecheck(deps, { pair, task: other, actor });
    if (!report.ready) {
      const open = report.items.filter((item) => item.status !== 'passed' && !item.ignored);
      throw new PgtwinError('action-not-allowed', {
        detail:
          'The reverse task is to start by itself, and its precheck has not passed: ' +
          `${open.map(({ item }) => item).join(', ')}. Read it, mend or ignore these, then start again.`,
      });
    }
  }
  return repository.move(task.id, 'start', { cause: 'start was asked for', actor });
}

/**
 * Restarts a task: it copies again and keeps the rows that are there. What was changed on both sides meanwhile then
 * differs; with `verify: "repair"` a verification that repairs it follows once both tasks run.
 */
export async function restartTask(
  deps: ApiDeps,
  repository: Repository,
  input: { pair: Pair; task: Task; order: RestartBody; actor: string },
): Promise<Task> {
  const { task, actor } = input;
  const { verify, winner } = input.order;
  const refuse = (detail: string): never => {
    throw new PgtwinError('invalid-request', { field: 'winner', detail: `winner: ${detail}` });
  };
  if (verify === 'compare' && winner) refuse('is for "verify": "repair".');
  const source = sourceOf(task.direction);
  const other = await deps.repository.getTask(oppositeTask(task.id));
  if (winner && winner !== source && other.generation === 0)
    refuse(`the pair is synchronized one way, so only side ${source} can win.`);
  const repairs = verify === 'repair';
  return repository.move(task.id, 'restart', {
    cause: `restart was asked for${repairs ? ', and a repair of what differs then' : ''}`,
    actor,
    ...(repairs ? { verify: winner ? { winner } : {} } : {}),
  });
}
