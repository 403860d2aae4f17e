import { createRoute, type OpenAPIHono } from '@hono/zod-openapi';
import {
  bothTasks,
  configureBothBody,
  createPairBody,
  pageQuery,
  pairList,
  pairParams,
  pairView,
} from '../../../shared/client/contract.ts';
import { examples } from '../../../shared/client/examples.ts';
import { directions, taskIdOf } from '../../../shared/task/schema.ts';
import type { ApiDeps, ApiEnv } from '../deps.ts';
import { assertMatches } from '../if-match.ts';
import { createPair, deletePair, newPairId, sweepPair } from '../pairs.ts';
import { configureBoth } from '../tasks.ts';
import { viewPair, viewTaskDetail } from '../views.ts';
import {
  body,
  changeHeaders,
  ifMatchHeader,
  json,
  keyHeader,
  needs,
  problems,
  repositoryForBoth,
  tagged,
} from './route.ts';

const create = createRoute({
  method: 'post',
  path: '/v1/pairs',
  operationId: 'createPair',
  summary: 'Create a pair of two databases',
  description: 'Connects to both; nothing is stored unless both answer and are two different databases.',
  ...needs('admin'),
  request: {
    headers: keyHeader,
    body: body(createPairBody),
  },
  responses: { 201: tagged(pairView, 'The pair', examples.pair), ...problems },
});

const list = createRoute({
  method: 'get',
  path: '/v1/pairs',
  operationId: 'listPairs',
  summary: 'List the pairs',
  ...needs('viewer'),
  request: { query: pageQuery },
  responses: { 200: json(pairList, 'A page of pairs', examples.pairList), ...problems },
});

const read = createRoute({
  method: 'get',
  path: '/v1/pairs/{id}',
  operationId: 'getPair',
  summary: 'Read a pair and the state of its tasks',
  ...needs('viewer'),
  request: { params: pairParams },
  responses: { 200: tagged(pairView, 'The pair', examples.pair), ...problems },
});

const remove = createRoute({
  method: 'delete',
  path: '/v1/pairs/{id}',
  operationId: 'deletePair',
  summary: 'Release both tasks and remove the pair',
  description: 'Safe to repeat. A pair that is not there (any more) gives 204.',
  ...needs('admin'),
  request: { params: pairParams, headers: ifMatchHeader },
  responses: {
    202: json(pairView, 'Being released: what was made in the databases is dropped first', {
      ...examples.pair,
      deleting: true,
    }),
    204: { description: 'The pair is gone' },
    ...problems,
  },
});

const configure = createRoute({
  method: 'post',
  path: '/v1/pairs/{id}/configure',
  operationId: 'configurePair',
  summary: 'Configure both tasks in one call',
  ...needs('admin'),
  request: { params: pairParams, headers: changeHeaders, body: body(configureBothBody) },
  responses: { 200: json(bothTasks, 'Both tasks', examples.bothTasks), ...problems },
});

/** Pairs: create, list, read, remove, and both tasks at once. */
export function addPairRoutes(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  const { repository } = deps;

  app.openapi(create, async (c) => {
    const actor = c.get('actor');
    const { id, takenOver } = c.get('reserved') ?? { id: newPairId(), takenOver: false };
    const known = takenOver ? await repository.table.get('pairs', id) : undefined;
    // Made by a request with the same key whose process died before it could answer.
    const pair = known ? await repository.getPair(id) : await createPair(deps, id, c.req.valid('json'));
    c.set('note', `pair ${id}`);
    const { view, etag } = await viewPair(deps, pair);
    c.header('location', `/v1/pairs/${pair.id}`);
    c.header('etag', etag);
    deps.log.info('pair created', { pair: pair.id, actor });
    return c.json(view, 201);
  });

  app.openapi(list, async (c) => {
    const { limit, cursor } = c.req.valid('query');
    const page = await repository.listPairs(limit, cursor);
    const gone = await Promise.all(page.pairs.map(({ id }) => sweepPair(deps, id)));
    const present = page.pairs.filter((_pair, place) => !gone[place]);
    const pairs = await Promise.all(present.map(async (pair) => (await viewPair(deps, pair)).view));
    return c.json(page.next === undefined ? { pairs } : { pairs, next: page.next }, 200);
  });

  app.openapi(read, async (c) => {
    const { id } = c.req.valid('param');
    await repository.getPair(id);
    await sweepPair(deps, id);
    const { view, etag } = await viewPair(deps, await repository.getPair(id));
    c.header('etag', etag);
    return c.json(view, 200);
  });

  app.openapi(remove, async (c) => {
    const { id } = c.req.valid('param');
    const item = await repository.table.get('pairs', id);
    if (!item) return c.body(null, 204);
    const pair = await repository.getPair(id);
    assertMatches(c.req.header('if-match'), (await viewPair(deps, pair)).etag);
    const actor = c.get('actor');
    const gone = await deletePair(deps, pair, actor);
    deps.log.info('pair is to be removed', { pair: id, actor, gone });
    return gone ? c.body(null, 204) : c.json((await viewPair(deps, pair)).view, 202);
  });

  app.openapi(configure, async (c) => {
    const pair = await repository.getPair(c.req.valid('param').id);
    const { forward, reverse } = c.req.valid('json');
    const before = await Promise.all(directions.map((each) => repository.getTask(taskIdOf(pair.id, each))));
    const guarded = { repository: repositoryForBoth(c, deps, before) };
    const tasks = await configureBoth(guarded, { pair, forward, reverse, actor: c.get('actor') });
    const views = {
      forward: await viewTaskDetail(deps, tasks.forward),
      reverse: await viewTaskDetail(deps, tasks.reverse),
    };
    return c.json(views, 200);
  });
}
