import { createRoute, type OpenAPIHono } from '@hono/zod-openapi';
import {
  conflictDetail,
  conflictList,
  conflictParams,
  conflictQuery,
  eventList,
  historyQuery,
  historyView,
  pageQuery,
  resolveBody,
  taskParams,
} from '../../../shared/client/contract.ts';
import { examples } from '../../../shared/client/examples.ts';
import { readHistory } from '../../../shared/task/history.ts';
import { readConflict, readConflicts, resolveConflict } from '../conflicts.ts';
import type { ApiDeps, ApiEnv } from '../deps.ts';
import { readEvents } from '../events.ts';
import { readTask } from '../tasks.ts';
import { body, changeHeaders, json, needs, problems, repositoryFor } from './route.ts';

const path = '/v1/pairs/{id}/tasks/{direction}';

const events = createRoute({
  method: 'get',
  path: `${path}/events`,
  operationId: 'listEvents',
  summary: 'The history of a task, the newest first',
  ...needs('viewer'),
  request: { params: taskParams, query: pageQuery },
  responses: { 200: json(eventList, 'A page of events', examples.eventList), ...problems },
});

const history = createRoute({
  method: 'get',
  path: `${path}/history`,
  operationId: 'getHistory',
  summary: 'Latency and rates of a task by the minute, for a day',
  ...needs('viewer'),
  request: { params: taskParams, query: historyQuery },
  responses: { 200: json(historyView, 'The figures, the oldest first', examples.history), ...problems },
});

const conflicts = createRoute({
  method: 'get',
  path: `${path}/conflicts`,
  operationId: 'listConflicts',
  summary: 'The conflict log of a task, the newest first',
  ...needs('viewer'),
  request: { params: taskParams, query: conflictQuery },
  responses: { 200: json(conflictList, 'A page of conflicts', examples.conflictList), ...problems },
});

const conflict = createRoute({
  method: 'get',
  path: `${path}/conflicts/{conflictId}`,
  operationId: 'getConflict',
  summary: 'One conflict, and what can be chosen for it',
  ...needs('viewer'),
  request: { params: conflictParams },
  responses: { 200: json(conflictDetail, 'The conflict', examples.conflict), ...problems },
});

const resolve = createRoute({
  method: 'post',
  path: `${path}/conflicts/{conflictId}/resolve`,
  operationId: 'resolveConflict',
  summary: 'Choose the version that stays, for a conflict that stopped the task',
  description: 'The choice is bound to the conflict and carried out when the task is tried again (retry).',
  ...needs('operator'),
  request: { params: conflictParams, headers: changeHeaders, body: body(resolveBody) },
  responses: { 200: json(conflictDetail, 'The conflict, with the choice', examples.conflict), ...problems },
});

/** What happened in a task: events from the table, conflicts from the destination database. */
export function addRecordRoutes(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  app.openapi(events, async (c) => {
    const { task } = await readTask(deps, c.req.valid('param'));
    return c.json(await readEvents(deps.repository.table, task, c.req.valid('query')), 200);
  });

  app.openapi(history, async (c) => {
    const { task } = await readTask(deps, c.req.valid('param'));
    const { hours } = c.req.valid('query');
    const points = await readHistory(deps.repository.table, task.id, deps.now(), hours);
    return c.json({ points }, 200);
  });

  app.openapi(conflicts, async (c) => {
    const { pair, task } = await readTask(deps, c.req.valid('param'));
    const withRows = c.get('role') !== 'viewer';
    return c.json(await readConflicts(deps, pair, task, { ...c.req.valid('query'), withRows }), 200);
  });

  app.openapi(conflict, async (c) => {
    const { conflictId: id, ...params } = c.req.valid('param');
    const { pair, task } = await readTask(deps, params);
    const withRows = c.get('role') !== 'viewer';
    return c.json(await readConflict(deps, pair, task, { id, withRows }), 200);
  });

  app.openapi(resolve, async (c) => {
    const { conflictId: id, ...params } = c.req.valid('param');
    const { pair, task } = await readTask(deps, params);
    const { take } = c.req.valid('json');
    const guarded = { ...deps, repository: repositoryFor(c, deps, task) };
    c.set('note', `take ${take} for conflict ${id}`);
    await resolveConflict(guarded, pair, task, { id, take, actor: c.get('actor') });
    return c.json(await readConflict(deps, pair, task, { id, withRows: true }), 200);
  });
}
