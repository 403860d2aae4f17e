import { createRoute, type OpenAPIHono } from '@hono/zod-openapi';
import {
  catalogList,
  catalogQuery,
  copyList,
  copyQuery,
  sideParams,
  taskParams,
} from '../../../shared/client/contract.ts';
import { examples } from '../../../shared/client/examples.ts';
import type { ApiDeps, ApiEnv } from '../deps.ts';
import { readCatalog, readCopyProgress } from '../tables.ts';
import { readTask } from '../tasks.ts';
import { json, needs, problems } from './route.ts';

const catalog = createRoute({
  method: 'get',
  path: '/v1/pairs/{id}/sides/{side}/tables',
  operationId: 'listTables',
  summary: 'The tables of a database, to choose from',
  ...needs('operator'),
  request: { params: sideParams, query: catalogQuery },
  responses: { 200: json(catalogList, 'A page of tables', examples.catalogList), ...problems },
});

const copy = createRoute({
  method: 'get',
  path: '/v1/pairs/{id}/tasks/{direction}/copy',
  operationId: 'listCopy',
  summary: 'Progress of the full copy, table by table',
  ...needs('viewer'),
  request: { params: taskParams, query: copyQuery },
  responses: { 200: json(copyList, 'A page of tables', examples.copyList), ...problems },
});

/** Tables, as the databases have them now. */
export function addTableRoutes(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  app.openapi(catalog, async (c) => {
    const { id, side } = c.req.valid('param');
    const pair = await deps.repository.getPair(id);
    return c.json(await readCatalog(deps, pair, side, c.req.valid('query')), 200);
  });

  app.openapi(copy, async (c) => {
    const { pair, task } = await readTask(deps, c.req.valid('param'));
    return c.json(await readCopyProgress(deps, pair, task, c.req.valid('query')), 200);
  });
}
