import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import {
  configureBothBody,
  connectivityReport,
  ignoreBody,
  pairParams,
  precheckBody,
  previewView,
  reportView,
  taskParams,
} from '../../../shared/client/contract.ts';
import { PgtwinError } from '../../../shared/errors/pgtwin-error.ts';
import { targetOf } from '../../../shared/task/ports.ts';
import { destinationOf, directions, type Side, sourceOf } from '../../../shared/task/schema.ts';
import { requireRole } from '../auth.ts';
import { testConnection } from '../connectivity.ts';
import { type ApiDeps, type ApiEnv, connectTimeoutOf } from '../deps.ts';
import { ignoreItem, runTaskPrecheck } from '../precheck/service.ts';
import { getReport } from '../precheck/store.ts';
import { previewPair } from '../preview.ts';
import { readTask } from '../tasks.ts';
import { bearer, body, emptyIsNoBody, json, optionalBody, problems } from './route.ts';

const path = '/v1/pairs/{id}/tasks/{direction}';
const operator = requireRole('operator');

const test = createRoute({
  method: 'post',
  path: `${path}/test-connectivity`,
  operationId: 'testConnectivity',
  summary: 'Log in to both databases',
  security: bearer,
  middleware: operator,
  request: { params: taskParams },
  responses: { 200: json(connectivityReport, 'What both sides answered'), ...problems },
});

const run = createRoute({
  method: 'post',
  path: `${path}/precheck`,
  operationId: 'runPrecheck',
  summary: 'Run the precheck',
  description:
    'The task then is PrecheckPassed or PrecheckFailed; it may start when every item passed or is ignored.',
  security: bearer,
  middleware: [operator, emptyIsNoBody] as const,
  request: { params: taskParams, body: optionalBody(precheckBody) },
  responses: { 200: json(reportView, 'The report'), ...problems },
});

const runBoth = createRoute({
  method: 'post',
  path: '/v1/pairs/{id}/precheck',
  operationId: 'runBothPrechecks',
  summary: 'Run the precheck of every configured task of the pair',
  security: bearer,
  middleware: [operator, emptyIsNoBody] as const,
  request: { params: pairParams, body: optionalBody(precheckBody) },
  responses: {
    200: json(
      z.strictObject({ forward: reportView.optional(), reverse: reportView.optional() }),
      'The reports',
    ),
    ...problems,
  },
});

const read = createRoute({
  method: 'get',
  path: `${path}/precheck`,
  operationId: 'getPrecheck',
  summary: 'The newest report',
  security: bearer,
  request: { params: taskParams },
  responses: { 200: json(reportView, 'The report'), ...problems },
});

const ignore = createRoute({
  method: 'post',
  path: `${path}/precheck/ignore`,
  operationId: 'ignorePrecheckItem',
  summary: 'Ignore one item of the report by name; who and when is recorded',
  security: bearer,
  middleware: operator,
  request: { params: taskParams, body: body(ignoreBody) },
  responses: { 200: json(reportView, 'The report'), ...problems },
});

const preview = createRoute({
  method: 'post',
  path: '/v1/pairs/{id}/preview',
  operationId: 'previewConfiguration',
  summary:
    'Show the request that a configuration is, with all defaults, and the tables it selects; nothing is sent',
  security: bearer,
  middleware: operator,
  request: { params: pairParams, body: body(configureBothBody) },
  responses: { 200: json(previewView, 'The preview'), ...problems },
});

/** What is looked at before a task starts. */
export function addPrecheckRoutes(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  app.openapi(test, async (c) => {
    const { pair, task } = await readTask(deps, c.req.valid('param'));
    const of = (side: Side) =>
      testConnection(() => targetOf(pair.sides[side], deps.secrets), `sides.${side}`, connectTimeoutOf(deps));
    const [source, destination] = await Promise.all([
      of(sourceOf(task.direction)),
      of(destinationOf(task.direction)),
    ]);
    return c.json({ source, destination }, 200);
  });

  app.openapi(run, async (c) => {
    const { pair, task } = await readTask(deps, c.req.valid('param'));
    const report = await runTaskPrecheck(deps, {
      pair,
      task,
      actor: c.get('actor'),
      ...givenOf(c.req.valid('json')),
    });
    return c.json(report, 200);
  });

  app.openapi(runBoth, async (c) => {
    const { id } = c.req.valid('param');
    const options = { actor: c.get('actor'), ...givenOf(c.req.valid('json')) };
    const reports = await Promise.all(
      directions.map(async (direction) => {
        const { pair, task } = await readTask(deps, { id, direction });
        return task.configVersion > 0 ? runTaskPrecheck(deps, { pair, task, ...options }) : undefined;
      }),
    );
    const [forward, reverse] = reports;
    return c.json({ ...(forward ? { forward } : {}), ...(reverse ? { reverse } : {}) }, 200);
  });

  app.openapi(read, async (c) => {
    const { task } = await readTask(deps, c.req.valid('param'));
    const report = await getReport(deps.repository.table, task.id);
    if (!report)
      throw new PgtwinError('not-found', { detail: `Task ${task.id} has not been prechecked yet.` });
    return c.json(report, 200);
  });

  app.openapi(ignore, async (c) => {
    const { task } = await readTask(deps, c.req.valid('param'));
    const { item } = c.req.valid('json');
    return c.json(await ignoreItem(deps, { task, item, actor: c.get('actor') }), 200);
  });

  app.openapi(preview, async (c) => {
    const pair = await deps.repository.getPair(c.req.valid('param').id);
    return c.json(await previewPair(deps, pair, c.req.valid('json')), 200);
  });
}

/** A body that was left out is `{}`, without the schema's defaults. */
const givenOf = (given: Partial<z.infer<typeof precheckBody>>) => ({
  ignore: given.ignore ?? [],
  ignoreAlerts: given.ignoreAlerts ?? false,
  ...(given.items ? { items: given.items } : {}),
});
