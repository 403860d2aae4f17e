import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { type ErrorCode, errors } from '../../shared/errors/table.ts';

/** The HTTP API of a platform, for its own commands. */
export type ApiClient = {
  readonly url: string;
  readonly token: string;
  /** Throws the problem that the API answers, as the error it was there, or `internal` if it can not be reached. */
  call<Result = unknown>(method: string, path: string, body?: unknown): Promise<Result>;
};

export function openApiClient(url: string, token: string): ApiClient {
  return {
    url,
    token,
    async call<Result>(method: string, path: string, body?: unknown): Promise<Result> {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (!response.ok) throw errorOf(text, `${method} ${path} answered ${response.status}.`);
      return (text ? JSON.parse(text) : null) as Result;
    },
  };
}

function errorOf(text: string, otherwise: string): PgtwinError {
  const problem = parsed(text);
  const code = problem.type?.split('/').at(-1) ?? '';
  return new PgtwinError(code in errors ? (code as ErrorCode) : 'internal', {
    detail: problem.detail ?? otherwise,
    ...(problem.field ? { field: problem.field } : {}),
  });
}

function parsed(text: string): { type?: string; detail?: string; field?: string } {
  try {
    return JSON.parse(text) as object;
  } catch {
    return {};
  }
}
