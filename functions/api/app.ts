import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { bodyLimit } from 'hono/body-limit';
import { health, whoami } from '../../shared/client/contract.ts';
import { examples } from '../../shared/client/examples.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { audit } from './audit.ts';
import { authenticate } from './auth.ts';
import { addConsoleRoutes } from './console/routes.ts';
import type { ApiDeps, ApiEnv } from './deps.ts';
import { idempotency } from './idempotency.ts';
import { METRICS_TYPE, metricsText } from './metrics-text.ts';
import { Operations } from './operations.ts';
import { answerError, answerProblem, problemOf, problemOfIssues } from './problem.ts';
import { addPairRoutes } from './routes/pairs.ts';
import { addPrecheckRoutes } from './routes/precheck.ts';
import { addPreviewRoutes } from './routes/preview.ts';
import { addRecordRoutes } from './routes/records.ts';
import { bearer, json, needs, problems } from './routes/route.ts';
import { addTableRoutes } from './routes/tables.ts';
import { addTaskRoutes } from './routes/tasks.ts';
import { addVerificationRoutes } from './routes/verifications.ts';

/** 5,000 tables by name, twice, with room. */
const LARGEST_BODY_BYTES = 2_000_000;

const healthz = createRoute({
  method: 'get',
  path: '/healthz',
  operationId: 'getHealth',
  summary: 'Whether the service answers; needs no token',
  responses: { 200: json(health, 'It does', examples.health), ...problems },
});

const who = createRoute({
  method: 'get',
  path: '/v1/whoami',
  operationId: 'whoAmI',
  summary: 'The name and the role of the caller',
  ...needs('viewer'),
  responses: { 200: json(whoami, 'Who it is', examples.whoami), ...problems },
});

const metrics = createRoute({
  method: 'get',
  path: '/metrics',
  operationId: 'getMetrics',
  summary: "The figures of all tasks, in Prometheus' text format",
  security: bearer,
  responses: {
    200: {
      description: 'One sample a line, labelled by task, pair and direction',
      content: {
        'text/plain': { schema: z.string(), example: 'pgtwin_latency_seconds{task="k3v9x0qa7m_f"} 0.2' },
      },
    },
    ...problems,
  },
});

/** The HTTP API. Nothing is opened here: all that waits comes in with `deps`. */
export function createApp(deps: ApiDeps): OpenAPIHono<ApiEnv> {
  const app = new OpenAPIHono<ApiEnv>({
    defaultHook: (result, c) =>
      result.success ? undefined : answerProblem(c, problemOfIssues(result.error, result.target as 'json')),
  });
  app.onError(answerError(deps.log));
  const operations = new Operations(app);
  app.notFound((c) => {
    const methods = operations.methodsAt(c.req.path);
    if (methods.length > 0) {
      const allowed = methods.join(', ');
      const refusal = `${c.req.path} has no ${c.req.method}; it has ${allowed}.`;
      c.header('allow', allowed);
      return answerProblem(c, problemOf(new PgtwinError('method-not-allowed', { detail: refusal })));
    }
    const detail = `There is nothing at ${c.req.method} ${c.req.path}.`;
    return answerProblem(c, problemOf(new PgtwinError('not-found', { detail })));
  });
  app.use(async (c, next) => {
    await next();
    // The console's files say for themselves how long they may be kept.
    if (!c.res.headers.has('cache-control')) c.header('cache-control', 'no-store');
    c.header('x-content-type-options', 'nosniff');
  });

  app.openapi(healthz, (c) => c.json({ status: 'ok' as const }, 200));
  app.doc31('/openapi.json', {
    openapi: '3.1.0',
    info: {
      title: 'pgtwin task API',
      version: '1',
      description: 'Two-way synchronization between two PostgreSQL databases. Errors are problem documents.',
    },
    servers: [{ url: '/' }],
  });
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', { type: 'http', scheme: 'bearer' });

  addConsoleRoutes(app, deps);
  app.openAPIRegistry.registerPath(metrics);
  app.use('/metrics', authenticate(deps.tokens, deps.principals));
  app.get('/metrics', async (c) => {
    const text = await metricsText(deps.repository, deps.now());
    return c.body(text, 200, { 'content-type': METRICS_TYPE });
  });
  app.use('/v1/*', authenticate(deps.tokens, deps.principals));
  app.use(
    '/v1/*',
    bodyLimit({
      maxSize: LARGEST_BODY_BYTES,
      onError: () => {
        throw new PgtwinError('body-too-large', {
          detail: `The body is larger than ${LARGEST_BODY_BYTES} bytes.`,
        });
      },
    }),
  );
  app.use('/v1/*', audit(deps, operations));
  app.use('/v1/*', idempotency(deps));
  app.openapi(who, (c) => c.json({ name: c.get('actor'), role: c.get('role') }, 200));
  addPairRoutes(app, deps);
  addTaskRoutes(app, deps);
  addPrecheckRoutes(app, deps);
  addRecordRoutes(app, deps);
  addTableRoutes(app, deps);
  addPreviewRoutes(app, deps, operations);
  addVerificationRoutes(app, deps);
  return app;
}
