import { z } from '@hono/zod-openapi';
import type { Context, MiddlewareHandler } from 'hono';
import { problemBody } from '../../../shared/client/contract.ts';
import type { Repository } from '../../../shared/task/repository.ts';
import type { Task } from '../../../shared/task/schema.ts';
import type { ApiDeps, ApiEnv } from '../deps.ts';
import { assertMatches, repositoryAt } from '../if-match.ts';
import { etagOfTask } from '../views.ts';

/** A JSON answer of a route. */
export const json = <T extends z.ZodType>(schema: T, description: string) => ({
  description,
  content: { 'application/json': { schema } },
});

/** What every route may answer as well. */
export const problems = {
  default: {
    description: 'A problem document (RFC 9457)',
    content: { 'application/problem+json': { schema: problemBody } },
  },
} as const;

export const bearer = [{ bearer: [] }];

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

export const ifMatchHeader = z.object({
  'if-match': z.string().max(256).optional().describe('the ETag that the change is meant for'),
});

/** The repository for a change of a task: with If-Match, only of that very version. */
export function repositoryFor(c: Context<ApiEnv>, deps: ApiDeps, task: Task): Repository {
  const header = c.req.header('if-match');
  assertMatches(header, etagOfTask(task));
  return header === undefined || header.trim() === '*'
    ? deps.repository
    : repositoryAt(deps.repository, task, deps.now);
}
