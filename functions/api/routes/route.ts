import { z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { Repository } from '../../../shared/task/repository.ts';
import type { Task } from '../../../shared/task/schema.ts';
import { problemBody } from '../contract.ts';
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
