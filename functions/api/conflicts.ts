import type { ConflictQuery, ConflictView } from '../../shared/client/contract.ts';
import { type Queryable, withClient } from '../../shared/postgres/connect.ts';
import { targetOf } from '../../shared/task/ports.ts';
import { destinationOf, type Pair, type Task } from '../../shared/task/schema.ts';
import { type ApiDeps, connectTimeoutOf } from './deps.ts';

export type ConflictPage = { readonly conflicts: ConflictView[]; readonly next?: string };

const conflictsSql = /* sql */ `
select id::text, at::text, position, kind, policy, result, schema_name as "schema", table_name as "table",
  constraint_name as "constraint", source_time::text as "sourceTime", destination_time::text as "destinationTime",
  key, source_row as "sourceRow", destination_row as "destinationRow"
from pgtwin.conflict
where task = $1 and ($2::bigint is null or id < $2)
  and ($3::text is null or schema_name = $3) and ($4::text is null or table_name = $4)
  and ($5::text is null or kind = $5) and ($6::text is null or policy = $6)
  and ($7::text is null or result = $7) and ($8::timestamptz is null or at >= $8)
order by id desc limit $9`;

/** One page of the conflict log, which lies on the task's destination; the newest first. */
export async function readConflicts(
  deps: ApiDeps,
  pair: Pair,
  task: Task,
  query: ConflictQuery & { readonly withRows: boolean },
): Promise<ConflictPage> {
  const target = await targetOf(pair.sides[destinationOf(task.direction)], deps.secrets);
  const options = {
    application: 'pgtwin api',
    connectTimeoutMs: connectTimeoutOf(deps),
    settings: { statement_timeout: '30s' },
  };
  return withClient(target, options, (client) => readPage(client, task.id, query));
}

async function readPage(
  client: Queryable,
  taskId: string,
  query: ConflictQuery & { readonly withRows: boolean },
): Promise<ConflictPage> {
  // Before the start, and after the release, there is no log.
  const there = await client.query(/* sql */ `select to_regclass('pgtwin.conflict') is not null as there`);
  if (!there.rows[0]?.there) return { conflicts: [] };
  const { cursor, schema, table, kind, policy, result, since, limit, withRows } = query;
  const values = [taskId, cursor, schema, table, kind, policy, result, since].map((value) => value ?? null);
  const { rows } = await client.query<ConflictView>(conflictsSql, [...values, limit + 1]);
  const page = rows.slice(0, limit).map((row) => (withRows ? row : withoutRows(row)));
  const last = page.at(-1);
  return rows.length > limit && last ? { conflicts: page, next: last.id } : { conflicts: page };
}

const withoutRows = ({ key: _k, sourceRow: _s, destinationRow: _d, ...facts }: ConflictView): ConflictView =>
  facts;
