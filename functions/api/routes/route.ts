import { z } from '@hono/zod-openapi';
import type { Context, MiddlewareHandler } from 'hono';
import { problemBody } from '../../../shared/client/contract.ts';
import { etagOfPair, etagOfTask } from '../../../shared/client/etag.ts';
import { examples } from '../../../shared/client/examples.ts';
import type { Repository } from '../../../shared/task/repository.ts';
import type { Task } from '../../../shared/task/schema.ts';
import { type Role, requireRole } from '../auth.ts';
import type { ApiDeps, ApiEnv } from '../deps.ts';
import { assertMatches, repositoryAt } from '../if-match.ts';
import { ROLE } from '../operations.ts';

/** A JSON answer of a route. */
export const json = <T extends z.ZodType>(schema: T, description: string, example: unknown) => ({
  description,
  content: { 'application/json': { schema, example } },
});

/** The same, with the tag of its version. */
export const tagged = <T extends z.ZodType>(schema: T, description: string, example: unknown) => ({
  ...json(schema, description, example),
  headers: z.object({
    ETag: z.string().openapi({ description: 'the version, for If-Match', example: '"3"' }),
  }),
});

/** What every route may answer as well. */
export const problems = {
  default: {
    description: 'A problem document (RFC 9457)',
    content: { 'application/problem+json': { schema: problemBody, example: examples.problem } },
  },
} as const;

export const bearer = [{ bearer: [] }];

/** What a route asks of its caller: the least role. */
export const needs = <const R extends Role>(role: R) =>
  ({ security: bearer, middleware: requireRole(role), [ROLE]: role }) as const;

/** A required JSON body. */
export const body = <T extends z.ZodType>(schema: T) => ({
  required: true,
  content: { 'application/json': { schema } },
});

/** A JSON body whose fields all have defaults: it may be left out. Goes with `emptyIsNoBody`. */
export const optionalBody = <T extends z.ZodType>(schema: T) => ({
  content: { 'application/json': { schema } },
});

/** Many clients mark every POST as JSON: where a body may be left out, an empty one counts as left out. */
export const emptyIsNoBody: MiddlewareHandler<ApiEnv> = async (c, next) => {
  if (c.req.header('content-type') !== undefined && (await c.req.text()) === '')
    c.req.raw.headers.delete('content-type');
  await next();
};

const ifMatch = z
  .string()
  .max(256)
  .optional()
  .openapi({ description: 'the ETag that the change is meant for', example: '*' });
const idempotencyKey = z.string().min(1).max(255).optional().openapi({
  description: 'the same request with the same key is carried out once, and gets the same answer',
  example: '8e03978e-40d5-43dd-bc93-6894a57f9324',
});

/** Headers of a change, of a POST that is no change of a version, and of both. */
export const ifMatchHeader = z.object({ 'if-match': ifMatch });
export const keyHeader = z.object({ 'idempotency-key': idempotencyKey });
export const changeHeaders = z.object({ 'if-match': ifMatch, 'idempotency-key': idempotencyKey });

const isAny = (header: string | undefined): boolean => header === undefined || header.trim() === '*';

/** The repository for a change of a task: with If-Match, only of that very version. */
export function repositoryFor(c: Context<ApiEnv>, deps: ApiDeps, task: Task): Repository {
  const header = c.req.header('if-match');
  assertMatches(header, etagOfTask(task));
  return isAny(header) ? deps.repository : repositoryAt(deps.repository, task, deps.now);
}

/** The same for a change of both tasks of a pair, whose tag names the versions of both. */
export function repositoryForBoth(c: Context<ApiEnv>, deps: ApiDeps, tasks: readonly Task[]): Repository {
  const header = c.req.header('if-match');
  assertMatches(header, etagOfPair(tasks));
  if (isAny(header)) return deps.repository;
  return tasks.reduce((repository, task) => repositoryAt(repository, task, deps.now), deps.repository);
}
