import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import {
  configureBothBody,
  connectivityReport,
  ignoreBody,
  pairParams,
  precheckBody,
  previewObjectsBody,
  previewObjectsView,
  previewView,
  reportView,
  taskParams,
} from '../../../shared/client/contract.ts';
import { examples } from '../../../shared/client/examples.ts';
import { PgtwinError } from '../../../shared/errors/pgtwin-error.ts';
import { targetOf } from '../../../shared/task/ports.ts';
import { destinationOf, directions, type Side, sourceOf } from '../../../shared/task/schema.ts';
import { testConnection } from '../connectivity.ts';
import { type ApiDeps, type ApiEnv, connectTimeoutOf } from '../deps.ts';
import { ignoreItem, runTaskPrecheck } from '../precheck/service.ts';
import { getReport } from '../precheck/store.ts';
import { previewPair } from '../preview.ts';
import { previewObjects } from '../preview-objects.ts';
import { readTask } from '../tasks.ts';
import {
  body,
  changeHeaders,
  emptyIsNoBody,
  json,
  needs,
  optionalBody,
  problems,
  repositoryFor,
  repositoryForBoth,
} from './route.ts';

const path = '/v1/pairs/{id}/tasks/{direction}';
const mayRun = needs('operator');

const test = createRoute({
  method: 'post',
  path: `${path}/test-connectivity`,
  operationId: 'testConnectivity',
  summary: 'Log in to both databases',
  ...mayRun,
  request: { params: taskParams },
  responses: {
    200: json(connectivityReport, 'What both sides answered', examples.connectivity),
    ...problems,
  },
});

const run = createRoute({
  method: 'post',
  path: `${path}/precheck`,
  operationId: 'runPrecheck',
  summary: 'Run the precheck',
  description:
    'The task then is PrecheckPassed or PrecheckFailed; it may start when every item passed or is ignored.',
  ...mayRun,
  middleware: [mayRun.middleware, emptyIsNoBody] as const,
  request: { params: taskParams, headers: changeHeaders, body: optionalBody(precheckBody) },
  responses: { 200: json(reportView, 'The report', examples.report), ...problems },
});

const runBoth = createRoute({
  method: 'post',
  path: '/v1/pairs/{id}/precheck',
  operationId: 'runBothPrechecks',
  summary: 'Run the precheck of every configured task of the pair',
  ...mayRun,
  middleware: [mayRun.middleware, emptyIsNoBody] as const,
  request: { params: pairParams, headers: changeHeaders, body: optionalBody(precheckBody) },
  responses: {
    200: json(
      z.strictObject({ forward: reportView.optional(), reverse: reportView.optional() }),
      'The reports',
      examples.reports,
    ),
    ...problems,
  },
});

const read = createRoute({
  method: 'get',
  path: `${path}/precheck`,
  operationId: 'getPrecheck',
  summary: 'The newest report',
  ...needs('viewer'),
  request: { params: taskParams },
  responses: { 200: json(reportView, 'The report', examples.report), ...problems },
});

const ignore = createRoute({
  method: 'post',
  path: `${path}/precheck/ignore`,
  operationId: 'ignorePrecheckItem',
  summary: 'Ignore one item of the report by name; who and when is recorded',
  ...mayRun,
  request: { params: taskParams, headers: changeHeaders, body: body(ignoreBody) },
  responses: { 200: json(reportView, 'The report', examples.report), ...problems },
});

const preview = createRoute({
  method: 'post',
  path: '/v1/pairs/{id}/preview',
  operationId: 'previewConfiguration',
  summary:
    'Show the request that a configuration is, with all defaults, and the tables it selects; nothing is sent',
  ...mayRun,
  request: { params: pairParams, body: body(configureBothBody) },
  responses: { 200: json(previewView, 'The preview', examples.preview), ...problems },
});

const objects = createRoute({
  method: 'post',
  path: '/v1/pairs/{id}/preview-objects',
  operationId: 'previewObjects',
  summary: 'Show which tables and columns a selection has, and their names on the destination',
  description: 'Refused with both names where two objects would be called the same. Nothing is stored.',
  ...mayRun,
  request: { params: pairParams, body: body(previewObjectsBody) },
  responses: { 200: json(previewObjectsView, 'The objects', examples.objects), ...problems },
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
    const guarded = { ...deps, repository: repositoryFor(c, deps, task) };
    const report = await runTaskPrecheck(guarded, {
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
    const read = await Promise.all(directions.map((direction) => readTask(deps, { id, direction })));
    const repository = repositoryForBoth(
      c,
      deps,
      read.map(({ task }) => task),
    );
    const reports = await Promise.all(
      read.map(async ({ pair, task }) =>
        task.configVersion > 0
          ? runTaskPrecheck({ ...deps, repository }, { pair, task, ...options })
          : undefined,
      ),
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
    c.set('note', `item ${item}`);
    const guarded = { ...deps, repository: repositoryFor(c, deps, task) };
    return c.json(await ignoreItem(guarded, { task, item, actor: c.get('actor') }), 200);
  });

  app.openapi(preview, async (c) => {
    const pair = await deps.repository.getPair(c.req.valid('param').id);
    return c.json(await previewPair(deps, pair, c.req.valid('json')), 200);
  });

  app.openapi(objects, async (c) => {
    const pair = await deps.repository.getPair(c.req.valid('param').id);
    return c.json(await previewObjects(deps, pair, c.req.valid('json')), 200);
  });
}

/** A body that was left out is `{}`, without the schema's defaults. */
const givenOf = (given: Partial<z.infer<typeof precheckBody>>) => ({
  ignore: given.ignore ?? [],
  ignoreAlerts: given.ignoreAlerts ?? false,
  onlyOpen: given.onlyOpen ?? false,
  ...(given.items ? { items: given.items } : {}),
});
