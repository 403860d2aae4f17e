import { createRoute, type OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { pageQuery, pairParams } from '../../../shared/client/contract.ts';
import { etagOfPair } from '../../../shared/client/etag.ts';
import {
  cutoverBody,
  cutoverReport,
  differenceList,
  differenceQuery,
  repairBody,
  runParams,
  startVerificationBody,
  tableReports,
  verificationList,
  verificationView,
} from '../../../shared/client/verify-contract.ts';
import { verifyExamples as examples } from '../../../shared/client/verify-examples.ts';
import { directions, type Pair, taskIdOf } from '../../../shared/task/schema.ts';
import { startRun } from '../../../shared/verify/start.ts';
import type { StoredRun } from '../../../shared/verify/store.ts';
import { wordsOfWinner } from '../../../shared/verify/winner.ts';
import { assertRole } from '../auth.ts';
import { cutOver } from '../cutover.ts';
import type { ApiDeps, ApiEnv } from '../deps.ts';
import { assertMatches } from '../if-match.ts';
import {
  cancelVerification,
  listDifferences,
  listTableReports,
  listVerifications,
  readVerification,
  repairVerification,
  viewRun,
} from '../verifications.ts';
import { body, changeHeaders, emptyIsNoBody, json, needs, optionalBody, problems, tagged } from './route.ts';

const mayRun = needs('operator');
const path = '/v1/pairs/{id}/verifications';

const start = createRoute({
  method: 'post',
  path,
  operationId: 'startVerification',
  summary: 'Compare the rows of both databases while changes flow',
  description:
    'One at a time for a pair. Rows that differ are looked at again until all that was on its way has arrived. With `repair` it needs the role admin.',
  ...mayRun,
  middleware: [mayRun.middleware, emptyIsNoBody] as const,
  request: { params: pairParams, headers: changeHeaders, body: optionalBody(startVerificationBody) },
  responses: {
    202: tagged(verificationView, 'The verification, under work', examples.verification),
    ...problems,
  },
});

const list = createRoute({
  method: 'get',
  path,
  operationId: 'listVerifications',
  summary: 'The verifications of a pair, the newest first',
  ...needs('viewer'),
  request: { params: pairParams, query: pageQuery },
  responses: {
    200: json(verificationList, 'A page of verifications', examples.verificationList),
    ...problems,
  },
});

const read = createRoute({
  method: 'get',
  path: `${path}/{run}`,
  operationId: 'getVerification',
  summary: 'How far a verification is, and what it found',
  ...needs('viewer'),
  request: { params: runParams },
  responses: { 200: tagged(verificationView, 'The verification', examples.verification), ...problems },
});

const tables = createRoute({
  method: 'get',
  path: `${path}/{run}/tables`,
  operationId: 'listTableReports',
  summary: 'What was found in each table',
  ...needs('viewer'),
  request: { params: runParams, query: pageQuery },
  responses: { 200: json(tableReports, 'A page of reports', examples.tableReports), ...problems },
});

const differences = createRoute({
  method: 'get',
  path: `${path}/{run}/differences`,
  operationId: 'listDifferences',
  summary: 'The keys whose rows differ, with the names of the columns',
  ...needs('viewer'),
  request: { params: runParams, query: differenceQuery },
  responses: { 200: json(differenceList, 'A page of differences', examples.differenceList), ...problems },
});

const cancel = createRoute({
  method: 'post',
  path: `${path}/{run}/cancel`,
  operationId: 'cancelVerification',
  summary: 'End a verification where it stands',
  ...mayRun,
  request: { params: runParams, headers: changeHeaders },
  responses: { 202: tagged(verificationView, 'The verification', examples.verification), ...problems },
});

const repair = createRoute({
  method: 'post',
  path: `${path}/{run}/repair`,
  operationId: 'repairVerification',
  summary: 'Make the differing rows those of the side that wins',
  description: 'Through the conflict protocol: what is written meanwhile is decided as always.',
  ...needs('admin'),
  request: { params: runParams, headers: changeHeaders, body: body(repairBody) },
  responses: {
    202: tagged(verificationView, 'The verification, being repaired', examples.verification),
    ...problems,
  },
});

const cutover = createRoute({
  method: 'post',
  path: '/v1/pairs/{id}/cutover',
  operationId: 'cutOver',
  summary: 'Move the sequences of the destination past those of the source',
  description: 'Looks first whether both tasks run and everything has arrived. Can be repeated.',
  ...mayRun,
  middleware: [mayRun.middleware, emptyIsNoBody] as const,
  request: { params: pairParams, headers: changeHeaders, body: optionalBody(cutoverBody) },
  responses: { 200: json(cutoverReport, 'What was done, or would be', examples.cutover), ...problems },
});

/** A run is its item's version; one under work moves all the time. */
function answer(c: Context<ApiEnv>, { run, version }: StoredRun) {
  c.header('etag', `"${version}"`);
  return viewRun(run);
}

/** A call on a pair is meant for the tasks as they were. */
async function pairFor(c: Context<ApiEnv>, { repository }: ApiDeps, id: string): Promise<Pair> {
  const pair = await repository.getPair(id);
  const tasks = await Promise.all(directions.map((each) => repository.getTask(taskIdOf(id, each))));
  assertMatches(c.req.header('if-match'), etagOfPair(tasks));
  return pair;
}

/** Verification, repair and cut-over of a pair. */
export function addVerificationRoutes(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  const { repository } = deps;

  app.openapi(start, async (c) => {
    const pair = await pairFor(c, deps, c.req.valid('param').id);
    const options = startVerificationBody.parse(c.req.valid('json') ?? {});
    // As a repair that is asked for afterwards.
    if (options.repair) assertRole(c, 'admin');
    return c.json(answer(c, await startRun(deps, pair.id, options, c.get('actor'))), 202);
  });

  app.openapi(list, async (c) => {
    const pair = await repository.getPair(c.req.valid('param').id);
    return c.json(await listVerifications(deps, pair, c.req.valid('query')), 200);
  });

  app.openapi(read, async (c) => {
    const { id, run } = c.req.valid('param');
    return c.json(answer(c, await readVerification(deps, await repository.getPair(id), run)), 200);
  });

  app.openapi(tables, async (c) => {
    const { id, run } = c.req.valid('param');
    const pair = await repository.getPair(id);
    return c.json(await listTableReports(deps, pair, run, c.req.valid('query')), 200);
  });

  app.openapi(differences, async (c) => {
    const { id, run } = c.req.valid('param');
    const pair = await repository.getPair(id);
    const query = { ...c.req.valid('query'), withKeys: c.get('role') !== 'viewer' };
    return c.json(await listDifferences(deps, pair, run, query), 200);
  });

  app.openapi(cancel, async (c) => {
    const { id, run } = c.req.valid('param');
    const pair = await repository.getPair(id);
    const how = { actor: c.get('actor'), match: c.req.header('if-match') };
    return c.json(answer(c, await cancelVerification(deps, pair, run, how)), 202);
  });

  app.openapi(repair, async (c) => {
    const { id, run } = c.req.valid('param');
    const pair = await repository.getPair(id);
    const order = c.req.valid('json');
    c.set('note', wordsOfWinner(order.winner));
    const how = { order, actor: c.get('actor'), match: c.req.header('if-match') };
    return c.json(answer(c, await repairVerification(deps, pair, run, how)), 202);
  });

  app.openapi(cutover, async (c) => {
    const pair = await pairFor(c, deps, c.req.valid('param').id);
    const order = cutoverBody.parse(c.req.valid('json') ?? {});
    c.set('note', `${order.direction}${order.dryRun ? ', dry run' : ''}${order.force ? ', forced' : ''}`);
    return c.json(await cutOver(deps, pair, order, c.get('actor')), 200);
  });
}
