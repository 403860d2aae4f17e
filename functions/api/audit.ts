import { randomBytes } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import { type AuditEntry, auditEntry } from '../../shared/client/contract.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { Table } from '../../shared/task/table.ts';
import type { ApiDeps, ApiEnv } from './deps.ts';
import type { Operations } from './operations.ts';

const PARTITION = 'audit';
const KEPT_DAYS = 400;
const reading = ['GET', 'HEAD', 'OPTIONS'];

/**
 * Notes who asked for what, when, and what became of it: every request that is not a mere reading, also one that was
 * refused. Bodies are not kept, they may hold passwords; a route may add a short note.
 */
export function audit({ repository, now, log }: ApiDeps, operations: Operations): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    await next();
    if (reading.includes(c.req.method)) return;
    const at = now();
    const found = operations.at(c.req.method, c.req.path);
    const problem = /problem\+json/.test(c.res.headers.get('content-type') ?? '')
      ? ((await c.res.clone().json()) as { type: string }).type.split('/').at(-1)
      : undefined;
    const { id: pair, direction } = found?.parameters ?? {};
    const note = c.get('note');
    const entry: AuditEntry = {
      at: at.toISOString(),
      actor: c.get('actor'),
      role: c.get('role'),
      operation: found?.operationId ?? `${c.req.method} ${c.req.path}`.slice(0, 200),
      status: c.res.status,
      ...(pair === undefined ? {} : { pair }),
      ...(direction === 'forward' || direction === 'reverse' ? { direction } : {}),
      ...(problem === undefined ? {} : { problem }),
      ...(note === undefined ? {} : { note }),
    };
    try {
      const sk = `${entry.at}#${place(at)}${randomBytes(4).toString('hex')}`;
      const expires = Math.floor(at.getTime() / 1000) + KEPT_DAYS * 86_400;
      await repository.table.put({ pk: PARTITION, sk, version: 1, body: entry, expires }, 'any');
    } catch (error) {
      // What was done is done: the log line takes the entry's place.
      log.error('audit entry not stored', { ...entry, error });
    }
  };
}

let last = { at: 0, n: 0 };

/** Keeps what one process notes within a millisecond in order. */
function place(at: Date): string {
  last = { at: at.getTime(), n: last.at === at.getTime() ? last.n + 1 : 0 };
  return last.n.toString(16).padStart(4, '0');
}

export type AuditPage = { readonly entries: AuditEntry[]; readonly next?: string };

/** One page of the audit log, the newest first. With a filter a page may have fewer entries than its limit. */
export async function readAudit(
  table: Table,
  query: {
    readonly limit: number;
    readonly cursor?: string | undefined;
    readonly pair?: string | undefined;
    readonly actor?: string | undefined;
  },
): Promise<AuditPage> {
  const { limit, cursor, pair, actor } = query;
  if (cursor !== undefined && !/^\d{4}-[\dT:.Z-]{10,30}#[0-9a-f]{12}$/.test(cursor))
    throw new PgtwinError('invalid-request', {
      field: 'query.cursor',
      detail: 'query.cursor: must be `next` of the page before.',
    });
  const page = await table.query(PARTITION, {
    limit,
    descending: true,
    ...(cursor === undefined ? {} : { after: cursor }),
  });
  const entries = page.items
    .map(({ body }) => auditEntry.parse(body))
    .filter((entry) => pair === undefined || entry.pair === pair)
    .filter((entry) => actor === undefined || entry.actor === actor);
  return page.next === undefined ? { entries } : { entries, next: page.next };
}
