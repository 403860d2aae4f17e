import { createRoute, type OpenAPIHono } from '@hono/zod-openapi';
import {
  conflictList,
  conflictQuery,
  eventList,
  pageQuery,
  taskParams,
} from '../../../shared/client/contract.ts';
import { readConflicts } from '../conflicts.ts';
import type { ApiDeps, ApiEnv } from '../deps.ts';
import { readEvents } from '../events.ts';
import { readTask } from '../tasks.ts';
import { bearer, json, problems } from './route.ts';

const path = '/v1/pairs/{id}/tasks/{direction}';

const events = createRoute({
  method: 'get',
  path: `${path}/events`,
  operationId: 'listEvents',
  summary: 'The history of a task, the newest first',
  security: bearer,
  request: { params: taskParams, query: pageQuery },
  responses: { 200: json(eventList, 'A page of events'), ...problems },
});

const conflicts = createRoute({
  method: 'get',
  path: `${path}/conflicts`,
  operationId: 'listConflicts',
  summary: 'The conflict log of a task, the newest first',
  security: bearer,
  request: { params: taskParams, query: conflictQuery },
  responses: { 200: json(conflictList, 'A page of conflicts'), ...problems },
});

/** What happened in a task: events from the table, conflicts from the destination database. */
export function addRecordRoutes(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  app.openapi(events, async (c) => {
    const { task } = await readTask(deps, c.req.valid('param'));
    return c.json(await readEvents(deps.repository.table, task, c.req.valid('query')), 200);
  });

  app.openapi(conflicts, async (c) => {
    const { pair, task } = await readTask(deps, c.req.valid('param'));
    const withRows = c.get('role') !== 'viewer';
    return c.json(await readConflicts(deps, pair, task, { ...c.req.valid('query'), withRows }), 200);
  });
}
