import { createRoute, type OpenAPIHono } from '@hono/zod-openapi';
import {
  configureBody,
  limitsBody,
  limitsView,
  restartBody,
  taskDetail,
  taskParams,
} from '../../../shared/client/contract.ts';
import { etagOfTask } from '../../../shared/client/etag.ts';
import { examples } from '../../../shared/client/examples.ts';
import { noLimits } from '../../../shared/task/load-limits.ts';
import type { TaskInput } from '../../../shared/task/machine.ts';
import type { ApiDeps, ApiEnv } from '../deps.ts';
import { releaseTask } from '../pairs.ts';
import { configureTask, readTask, restartTask, startTask } from '../tasks.ts';
import { viewTaskDetail } from '../views.ts';
import {
  body,
  changeHeaders,
  emptyIsNoBody,
  ifMatchHeader,
  needs,
  optionalBody,
  problems,
  repositoryFor,
  tagged,
} from './route.ts';

const path = '/v1/pairs/{id}/tasks/{direction}';

const read = createRoute({
  method: 'get',
  path,
  operationId: 'getTask',
  summary: 'Read a task: state, allowed actions, progress, latency, error, newest events',
  ...needs('viewer'),
  request: { params: taskParams },
  responses: { 200: tagged(taskDetail, 'The task', examples.task), ...problems },
});

const configure = createRoute({
  method: 'put',
  path,
  operationId: 'configureTask',
  summary: 'Configure a task',
  ...needs('admin'),
  request: { params: taskParams, headers: ifMatchHeader, body: body(configureBody) },
  responses: { 200: tagged(taskDetail, 'The task', examples.task), ...problems },
});

const readLimits = createRoute({
  method: 'get',
  path: `${path}/limits`,
  operationId: 'getLimits',
  summary: 'Read what a task may take from its source',
  ...needs('viewer'),
  request: { params: taskParams },
  responses: { 200: tagged(limitsView, 'The limits in effect', examples.limits), ...problems },
});

const changeLimits = createRoute({
  method: 'patch',
  path: `${path}/limits`,
  operationId: 'changeLimits',
  summary: 'Change what a task may take from its source; takes effect within seconds, without a restart',
  ...needs('operator'),
  request: { params: taskParams, headers: ifMatchHeader, body: body(limitsBody) },
  responses: { 200: tagged(limitsView, 'The limits in effect', examples.limits), ...problems },
});

const action = <const Name extends string, const Role extends 'operator' | 'admin'>(
  name: Name,
  role: Role,
  summary: string,
) =>
  createRoute({
    method: 'post',
    path: `${path}/${name}`,
    operationId: `${name}Task`,
    summary,
    ...needs(role),
    request: { params: taskParams, headers: changeHeaders },
    responses: { 202: tagged(taskDetail, 'The task, on its way', examples.task), ...problems },
  });

const start = action('start', 'operator', 'Start a task whose precheck has passed');
const release = action('release', 'admin', 'Release a task: drop all that it made, on both sides');

const restart = createRoute({
  method: 'post',
  path: `${path}/restart`,
  operationId: 'restartTask',
  summary: 'Restart a task from the beginning',
  description:
    'All rows are copied again, those that are there are kept. When both tasks run a verification says what differs, and repairs it if that is asked for.',
  ...needs('admin'),
  middleware: [needs('admin').middleware, emptyIsNoBody] as const,
  request: { params: taskParams, headers: changeHeaders, body: optionalBody(restartBody) },
  responses: { 202: tagged(taskDetail, 'The task, on its way', examples.task), ...problems },
});

/** Actions that are a move of the state machine and nothing else: the capture does the work. */
const plainActions = [
  action('pause', 'operator', 'Pause a task; the slot keeps what it has not read'),
  action('resume', 'operator', 'Resume a paused task'),
  action('retry', 'operator', 'Try a failed task again from where it stopped'),
].map((route) => ({ route, input: route.path.slice(path.length + 1) as TaskInput }));

/** One task: read, configure, and its actions. */
export function addTaskRoutes(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  app.openapi(read, async (c) => {
    const { task } = await readTask(deps, c.req.valid('param'));
    c.header('etag', etagOfTask(task));
    return c.json(await viewTaskDetail(deps, task), 200);
  });

  app.openapi(configure, async (c) => {
    const { pair, task } = await readTask(deps, c.req.valid('param'));
    const repository = repositoryFor(c, deps, task);
    const request = { pair, task, body: c.req.valid('json'), actor: c.get('actor') };
    const configured = await configureTask(deps, repository, request);
    c.header('etag', etagOfTask(configured));
    return c.json(await viewTaskDetail(deps, configured), 200);
  });

  app.openapi(readLimits, async (c) => {
    const { task } = await readTask(deps, c.req.valid('param'));
    c.header('etag', etagOfTask(task));
    return c.json(task.limits ?? noLimits, 200);
  });

  app.openapi(changeLimits, async (c) => {
    const { task } = await readTask(deps, c.req.valid('param'));
    const patch = c.req.valid('json');
    c.set('note', JSON.stringify(patch));
    const changed = await repositoryFor(c, deps, task).setLimits(task.id, patch, { actor: c.get('actor') });
    c.header('etag', etagOfTask(changed));
    return c.json(changed.limits ?? noLimits, 200);
  });

  app.openapi(start, async (c) => {
    const { pair, task } = await readTask(deps, c.req.valid('param'));
    const repository = repositoryFor(c, deps, task);
    const started = await startTask(deps, repository, { pair, task, actor: c.get('actor') });
    c.header('etag', etagOfTask(started));
    return c.json(await viewTaskDetail(deps, started), 202);
  });

  app.openapi(restart, async (c) => {
    const { pair, task } = await readTask(deps, c.req.valid('param'));
    const order = restartBody.parse(c.req.valid('json') ?? {});
    const repository = repositoryFor(c, deps, task);
    const restarted = await restartTask(deps, repository, { pair, task, order, actor: c.get('actor') });
    c.header('etag', etagOfTask(restarted));
    return c.json(await viewTaskDetail(deps, restarted), 202);
  });

  app.openapi(release, async (c) => {
    const { task } = await readTask(deps, c.req.valid('param'));
    await releaseTask(repositoryFor(c, deps, task), task, c.get('actor'));
    const released = await deps.repository.getTask(task.id);
    c.header('etag', etagOfTask(released));
    return c.json(await viewTaskDetail(deps, released), 202);
  });

  for (const { route, input } of plainActions) {
    app.openapi(route, async (c) => {
      const { task } = await readTask(deps, c.req.valid('param'));
      const repository = repositoryFor(c, deps, task);
      const why = { cause: `${input} was asked for`, actor: c.get('actor') };
      const moved = await repository.move(task.id, input, why);
      c.header('etag', etagOfTask(moved));
      return c.json(await viewTaskDetail(deps, moved), 202);
    });
  }
}
