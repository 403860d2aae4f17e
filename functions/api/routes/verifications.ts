import { createRoute, type OpenAPIHono } from '@hono/zod-openapi';
import { pageQuery, pairParams } from '../../../shared/client/contract.ts';
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
import { cutOver } from '../cutover.ts';
import type { ApiDeps, ApiEnv } from '../deps.ts';
import {
  cancelVerification,
  listDifferences,
  listTableReports,
  listVerifications,
  readVerification,
  repairVerification,
  startVerification,
  viewRun,
} from '../verifications.ts';
import { body, emptyIsNoBody, json, keyHeader, needs, optionalBody, problems } from './route.ts';

const mayRun = needs('operator');
const path = '/v1/pairs/{id}/verifications';

const start = createRoute({
  method: 'post',
  path,
  operationId: 'startVerification',
  summary: 'Compare the rows of both databases while changes flow',
  description:
    'One at a time for a pair. Rows that differ are looked at again until all that was on its way has arrived.',
  ...mayRun,
  middleware: [mayRun.middleware, emptyIsNoBody] as const,
  request: { params: pairParams, headers: keyHeader, body: optionalBody(startVerificationBody) },
  responses: {
    202: json(verificationView, 'The verification, under work', examples.verification),
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
  responses: { 200: json(verificationView, 'The verification', examples.verification), ...problems },
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
  request: { params: runParams, headers: keyHeader },
  responses: { 202: json(verificationView, 'The verification', examples.verification), ...problems },
});

const repair = createRoute({
  method: 'post',
  path: `${path}/{run}/repair`,
  operationId: 'repairVerification',
  summary: 'Make the differing rows those of the side that wins',
  description: 'Through the conflict protocol: what is written meanwhile is decided as always.',
  ...needs('admin'),
  request: { params: runParams, headers: keyHeader, body: body(repairBody) },
  responses: {
    202: json(verificationView, 'The verification, being repaired', examples.verification),
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
  request: { params: pairParams, headers: keyHeader, body: optionalBody(cutoverBody) },
  responses: { 200: json(cutoverReport, 'What was done, or would be', examples.cutover), ...problems },
});

/** Verification, repair and cut-over of a pair. */
export function addVerificationRoutes(app: OpenAPIHono<ApiEnv>, deps: ApiDeps): void {
  const { repository } = deps;

  app.openapi(start, async (c) => {
    const pair = await repository.getPair(c.req.valid('param').id);
    const options = startVerificationBody.parse(c.req.valid('json') ?? {});
    return c.json(viewRun(await startVerification(deps, pair, options, c.get('actor'))), 202);
  });

  app.openapi(list, async (c) => {
    const pair = await repository.getPair(c.req.valid('param').id);
    return c.json(await listVerifications(deps, pair, c.req.valid('query')), 200);
  });

  app.openapi(read, async (c) => {
    const { id, run } = c.req.valid('param');
    const pair = await repository.getPair(id);
    return c.json(viewRun(await readVerification(deps, pair, run)), 200);
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
    return c.json(viewRun(await cancelVerification(deps, pair, run, c.get('actor'))), 202);
  });

  app.openapi(repair, async (c) => {
    const { id, run } = c.req.valid('param');
    const pair = await repository.getPair(id);
    const how = { order: c.req.valid('json'), actor: c.get('actor') };
    return c.json(viewRun(await repairVerification(deps, pair, run, how)), 202);
  });

  app.openapi(cutover, async (c) => {
    const pair = await repository.getPair(c.req.valid('param').id);
    const order = cutoverBody.parse(c.req.valid('json') ?? {});
    return c.json(await cutOver(deps, pair, order, c.get('actor')), 200);
  });
}
