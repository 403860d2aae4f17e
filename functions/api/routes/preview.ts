import { createRoute, type OpenAPIHono } from '@hono/zod-openapi';
import { actionPreview, actionPreviewBody, auditList, auditQuery } from '../../../shared/client/contract.ts';
import { examples } from '../../../shared/client/examples.ts';
import { previewAction } from '../action-preview.ts';
import { readAudit } from '../audit.ts';
import type { ApiDeps, ApiEnv } from '../deps.ts';
import type { Operations } from '../operations.ts';
import { body, json, needs, problems } from './route.ts';

const preview = createRoute({
  method: 'post',
  path: '/v1/preview',
  operationId: 'previewAction',
  summary: 'Show the exact request of any action, checked, and whether it would be taken; nothing is sent',
  ...needs('viewer'),
  request: { body: body(actionPreviewBody) },
  responses: { 200: json(actionPreview, 'The request, unsent', examples.actionPreview), ...problems },
});

const audit = createRoute({
  method: 'get',
  path: '/v1/audit',
  operationId: 'listAudit',
  summary: 'Who asked for what, and what became of it, the newest first; refused requests too',
  ...needs('admin'),
  request: { query: auditQuery },
  responses: { 200: json(auditList, 'A page of the audit log', examples.auditList), ...problems },
});

/** Before an action, and after it: what would be sent, and what was. */
export function addPreviewRoutes(app: OpenAPIHono<ApiEnv>, deps: ApiDeps, operations: Operations): void {
  app.openapi(preview, async (c) => {
    const asked = c.req.valid('json');
    c.set('note', asked.operation);
    return c.json(await previewAction(deps, operations, asked, { role: c.get('role') }), 200);
  });

  app.openapi(audit, async (c) => c.json(await readAudit(deps.repository.table, c.req.valid('query')), 200));
}
