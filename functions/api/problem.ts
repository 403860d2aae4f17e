import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { z } from 'zod';
import type { Problem } from '../../shared/client/problem.ts';
import { problemTypePrefix } from '../../shared/client/problem-type.ts';
import { asPgtwinError, PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { type ErrorCode, errors } from '../../shared/errors/table.ts';
import type { Log } from '../../shared/log/log.ts';

const titleOf = (code: string): string => {
  const words = code.replaceAll('-', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
};

/** The document of an error. What is not ours, or internal, says nothing of its cause: that is for the log. */
export function problemOf(error: unknown): Problem {
  const { code, facts, message } = asPgtwinError(ownError(error));
  const { status: rule, advice } = errors[code];
  // A database that can't be reached because of what a field says is the request's error, not the service's.
  const status = facts.field && rule >= 500 ? 422 : rule;
  const detail = code === 'internal' ? 'Something unexpected happened; the log says what.' : message;
  return {
    type: `${problemTypePrefix}${code}`,
    title: titleOf(code),
    status,
    detail,
    advice,
    ...(facts.field ? { field: facts.field } : {}),
  };
}

/** Errors of the HTTP library in our words. */
function ownError(error: unknown): unknown {
  if (!(error instanceof HTTPException)) return error;
  const codes: Record<number, ErrorCode> = {
    400: 'malformed-json',
    404: 'not-found',
    413: 'body-too-large',
    415: 'unsupported-media-type',
  };
  const details: Record<number, string> = {
    400: 'The body is not valid JSON.',
    413: 'The body is too large.',
    415: 'The body is not marked as JSON.',
  };
  const code = codes[error.status];
  return code ? new PgtwinError(code, { detail: details[error.status] ?? error.message }) : error;
}

/** The document of what a schema refused: each field by path, unknown ones by name. */
export function problemOfIssues(
  error: z.core.$ZodError,
  place: 'json' | 'query' | 'param' | 'header',
): Problem {
  const fields = error.issues.flatMap(fieldsOf);
  const prefix = place === 'json' ? '' : `${place}.`;
  const named = fields.map(({ field, message }) => ({ field: `${prefix}${field}`, message }));
  const third = named.find(({ field, message }) => /^sides\.[^.]+$/.test(field) && message === UNKNOWN);
  const first = third ?? named[0];
  const code: ErrorCode = third ? 'pair-is-full' : 'invalid-request';
  return {
    ...problemOf(new PgtwinError(code, { detail: third ? THIRD : detailOf(named) })),
    ...(first ? { field: first.field } : {}),
    errors: named,
  };
}

const UNKNOWN = 'unknown field';
const THIRD = 'A pair has the sides a and b, and no third one.';

const detailOf = (fields: readonly { field: string; message: string }[]): string =>
  `${fields
    .slice(0, 5)
    .map(({ field, message }) => (field ? `${field}: ${message}` : message))
    .join('; ')}${fields.length > 5 ? `; and ${fields.length - 5} more` : ''}.`;

function fieldsOf(issue: z.core.$ZodIssue): { field: string; message: string }[] {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ field: [...path, key].join('.'), message: UNKNOWN }));
  const missing = issue.code === 'invalid_type' && issue.message.endsWith('received undefined');
  return [
    { field: path.join('.'), message: missing ? `is missing, expected ${issue.expected}` : issue.message },
  ];
}

/** Answers with a problem document. */
export function answerProblem(c: Context, document: Problem): Response {
  return c.body(JSON.stringify(document), document.status as ContentfulStatusCode, {
    'content-type': 'application/problem+json',
    ...(document.status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
  });
}

/** The last catch: logs what is ours to mend, answers a document. */
export function answerError(log: Log) {
  return (error: Error, c: Context): Response => {
    const document = problemOf(error);
    const facts = { method: c.req.method, path: c.req.path, status: document.status, error };
    if (document.status >= 500) log.error('request failed', facts);
    else log.debug?.('request refused', facts);
    return answerProblem(c, document);
  };
}
