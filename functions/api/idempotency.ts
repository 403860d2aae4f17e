import { createHash, createHmac } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { Context, MiddlewareHandler } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { Item } from '../../shared/task/table.ts';
import type { ApiDeps, ApiEnv } from './deps.ts';
import { newPairId } from './pairs.ts';

export const PARTITION = 'idempotency';
/** So long a key stands for its request. */
const KEPT_SECONDS = 86_400;
/** A request that has not ended after this long has died with its process. */
const DEAD_AFTER_MS = 120_000;
const kept = ['content-type', 'etag', 'location'] as const;

type Stored = {
  readonly request: string;
  readonly at: string;
  /** The id for what the request makes: the same when it is taken over after its process died. */
  readonly reserved: string;
  /** Absent while the request is at work. */
  readonly answer?: {
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
  };
};

/**
 * A POST with an Idempotency-Key is carried out once: the same request again gets the same answer, another one with
 * the key is refused with `idempotency-key-reused`. A refused request is forgotten, so that it can be mended and sent
 * with the same key. Keys belong to their caller, and are forgotten after a day.
 */
export function idempotency({ repository, now }: ApiDeps): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const key = c.req.header('idempotency-key');
    if (key === undefined || c.req.method !== 'POST') return next();
    if (key.length === 0 || key.length > 255)
      throw new PgtwinError('invalid-request', {
        field: 'header.idempotency-key',
        detail: 'header.idempotency-key: must have 1 to 255 characters.',
      });
    const { table } = repository;
    const sk = createHash('sha256')
      .update(`${c.get('actor')}\0${key}`)
      .digest('hex');
    const stored = await table.get(PARTITION, sk);
    const known = stored && stored.expires! * 1000 > now().getTime() ? (stored.body as Stored) : undefined;
    const request = await fingerprint(c, key);
    if (known && known.request !== request)
      throw new PgtwinError('idempotency-key-reused', {
        field: 'header.idempotency-key',
        detail: 'This Idempotency-Key was used with another request.',
      });
    if (known?.answer) return replay(c, known.answer);

    const alive = known && now().getTime() - Date.parse(known.at) < DEAD_AFTER_MS;
    const reserved = known?.reserved ?? newPairId();
    const item = (version: number, answer?: Stored['answer']): Item => ({
      ...{ pk: PARTITION, sk, version },
      body: { request, at: now().toISOString(), reserved, ...(answer ? { answer } : {}) } satisfies Stored,
      expires: Math.floor(now().getTime() / 1000) + KEPT_SECONDS,
    });
    const version = (stored?.version ?? 0) + 1;
    if (alive || !(await table.put(item(version), stored?.version ?? 'absent')))
      throw new PgtwinError('request-in-progress', { detail: 'The same request is at work already.' });
    c.set('reserved', { id: reserved, takenOver: known !== undefined });
    await next();
    if (c.res.status < 300) await table.put(item(version + 1, await answerOf(c.res)), version);
    else await table.remove(PARTITION, sk);
  };
}

/** Under the key, which is stored nowhere: the body may hold passwords. */
async function fingerprint(c: Context<ApiEnv>, key: string): Promise<string> {
  const parts = [c.req.path, c.req.header('if-match') ?? '', await c.req.text()];
  return createHmac('sha256', key).update(JSON.stringify(parts)).digest('hex');
}

async function answerOf(response: Response): Promise<Stored['answer']> {
  const body = gzipSync(Buffer.from(await response.clone().arrayBuffer())).toString('base64');
  const headers = kept.flatMap((name) => {
    const value = response.headers.get(name);
    return value === null ? [] : [[name, value]];
  });
  return { status: response.status, headers: Object.fromEntries(headers), body };
}

function replay(c: Context<ApiEnv>, { status, headers, body }: NonNullable<Stored['answer']>): Response {
  const more = { ...headers, 'idempotent-replayed': 'true' };
  if (status === 204) return c.body(null, 204, more);
  const text = gunzipSync(Buffer.from(body, 'base64')).toString();
  return c.body(text, status as ContentfulStatusCode, more);
}
