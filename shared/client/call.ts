import { PgtwinError } from '../errors/pgtwin-error.ts';
import { type ErrorCode, errors } from '../errors/table.ts';
import type { Problem } from './problem.ts';
import { problemTypePrefix } from './problem-type.ts';

export type CallOptions = {
  /** Fields of the query; what is undefined is left out. */
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
};
export type ClientOptions = {
  /** Address of the API, with or without a slash at its end. */
  readonly url: string;
  readonly token: string;
  /** Another way to send requests than the global `fetch`. */
  readonly fetch?: (url: string, init: RequestInit) => Response | Promise<Response>;
  /** Ends requests that are under way. */
  readonly signal?: AbortSignal;
  /** Seen by JSON.parse for each value of an answer. */
  readonly reviver?: (key: string, value: unknown) => unknown;
};

/** For a request that must not be carried out twice, or only of one version. */
export type Guard = { readonly idempotencyKey?: string; readonly ifMatch?: string };

export const headersOf = ({ idempotencyKey, ifMatch }: Guard = {}): Record<string, string> => ({
  ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
  ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
});

/** An answer and the ETag of the version that it shows, if it has one. */
export type Tagged<T> = { readonly value: T; readonly etag: string | undefined };

/** One request, as `callTagged`, without the tag. */
export const callApi = async <Result>(
  options: ClientOptions,
  method: string,
  path: string,
  more?: CallOptions,
): Promise<Result> => (await callTagged<Result>(options, method, path, more)).value;

/**
 * One request. Throws the problem that the API answers as the error that it was there, and `api-unreachable` if no API
 * answers, or something else does.
 */
export async function callTagged<Result>(
  { url, token, fetch: send = fetch, signal, reviver }: ClientOptions,
  method: string,
  path: string,
  { query = {}, body, headers = {} }: CallOptions = {},
): Promise<Tagged<Result>> {
  const base = url.replace(/\/+$/, '');
  const init: RequestInit = {
    method,
    headers: {
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal ? { signal } : {}),
  };
  const { status, ok, text, etag } = await answerOf(
    () => send(`${base}${path}${textOf(query)}`, init),
    base,
    signal,
  );
  if (!ok) throw errorOf(text, `${method} ${path} at ${base} answered ${status}, and no problem document`);
  if (text === '') return { value: undefined as Result, etag };
  try {
    return { value: JSON.parse(text, reviver) as Result, etag };
  } catch {
    throw unreachable(`${base} answers, but it is not the API of pgtwin.`);
  }
}

const unreachable = (detail: string, cause?: unknown): PgtwinError =>
  new PgtwinError('api-unreachable', { detail }, { cause });

async function answerOf(
  send: () => Response | Promise<Response>,
  base: string,
  signal: AbortSignal | undefined,
): Promise<{ status: number; ok: boolean; text: string; etag: string | undefined }> {
  try {
    const response = await send();
    const etag = response.headers.get('etag') ?? undefined;
    return { status: response.status, ok: response.ok, text: await response.text(), etag };
  } catch (error) {
    signal?.throwIfAborted();
    const { cause, message } = error as Error;
    const { code } = (cause ?? {}) as { code?: string };
    throw unreachable(`No API answers at ${base} (${code ?? message}).`, error);
  }
}

function textOf(query: NonNullable<CallOptions['query']>): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    if (value !== undefined) parameters.append(name, String(value));
  return parameters.size === 0 ? '' : `?${parameters}`;
}

/** A code that only a newer API knows becomes `internal`, with that API's own words. The document is the cause. */
function errorOf(text: string, otherwise: string): PgtwinError {
  const problem = problemIn(text);
  const { type, detail, field, advice } = problem;
  if (!type?.startsWith(problemTypePrefix)) return unreachable(`${otherwise}.`);
  const code = type.slice(problemTypePrefix.length);
  const facts = {
    detail: detail ?? `${otherwise}.`,
    ...(field ? { field } : {}),
    ...(advice ? { advice } : {}),
  };
  return new PgtwinError(code in errors ? (code as ErrorCode) : 'internal', facts, { cause: problem });
}

function problemIn(text: string): Partial<Problem> {
  try {
    return JSON.parse(text) as Partial<Problem>;
  } catch {
    return {};
  }
}
