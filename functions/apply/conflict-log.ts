import { createHash } from 'node:crypto';
import type { ConflictEntry } from '../../shared/conflict/kinds.ts';
import type { Row } from '../../shared/conflict/rows.ts';
import { timestampText } from '../../shared/postgres/pgoutput.ts';
import type { TaskConfig } from '../../shared/task/schema.ts';
import type { LoggedConflict } from './exact.ts';
import type { Session } from './session.ts';
import type { ApplyTable } from './tables.ts';

export type ConflictLogSettings = TaskConfig['conflictLog'];

const logSql = /* sql */ `
  insert into pgtwin.conflict (task, generation, position, first_position, kind, policy, result, schema_name,
      table_name, key, source_row, destination_row, source_hash, destination_hash, source_time, destination_time,
      source_side, destination_side, suspected_kind)
  select $1, p.generation, c.position, c.first, c.kind, c.policy, c.result, c.schema_name, c.table_name, c.key,
         c.source_row, c.destination_row, c.source_hash, c.destination_hash, c.source_time, c.destination_time,
         c.source_side, c.destination_side, c.suspected
    from pgtwin.apply_progress p,
         unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::jsonb[],
                $11::jsonb[], $12::jsonb[], $13::text[], $14::text[], $15::timestamptz[], $16::timestamptz[],
                $17::text[], $18::text[], $19::text[]) with ordinality
         c(position, first, kind, policy, result, schema_name, table_name, key, source_row, destination_row,
           source_hash, destination_hash, source_time, destination_time, source_side, destination_side, suspected, n)
   where p.task = $1 and p.shard = $2
   order by c.n
  returning id::text as id`;

const countSql = /* sql */ `
  with counted as (
    update pgtwin.apply_progress set conflicts = conflicts + $3 where task = $1 and shard = $2 returning generation)
  insert into pgtwin.conflict_count as c (task, generation, kind, conflicts)
  select $1, generation, kind, n from counted, unnest($4::text[], $5::int8[]) k(kind, n)
  on conflict (task, generation, kind) do update set conflicts = c.conflicts + excluded.conflicts`;

/** Lines of one statement. */
const LINES = 5_000;

/** The kind under which an entry is logged and counted. */
export const loggedKind = (entry: ConflictEntry): string => (entry.unsure ? 'unsure' : entry.kind);

/** Lines of the conflict log, and their number by kind; in the transaction of what was decided. */
export async function logConflicts(
  session: Session,
  conflicts: readonly LoggedConflict[],
  settings: ConflictLogSettings,
): Promise<void> {
  if (conflicts.length === 0) return;
  const counts = new Map<string, number>();
  for (let from = 0; from < conflicts.length; from += LINES)
    await writeLines(session, conflicts.slice(from, from + LINES), settings);
  for (const each of conflicts) {
    const kind = loggedKind(each.entry);
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  const { client, task, shard } = session;
  const values = [task, shard, conflicts.length, [...counts.keys()], [...counts.values()]];
  await client.query({ name: 'count-conflicts', text: countSql, values });
}

const stoppedSql = /* sql */ `
  select c.id::text as id from pgtwin.conflict c
    join pgtwin.apply_progress p on p.task = c.task and p.generation = c.generation and p.shard = $2
   where c.task = $1 and c.result = 'stopped' and c.position = $3 and c.schema_name = $4 and c.table_name = $5
     and c.key = $6 limit 1`;

/** The conflict that stopped the task: one line, however often the task is tried again. Gives its id. */
export async function logStop(
  session: Session,
  conflict: LoggedConflict,
  settings: ConflictLogSettings,
): Promise<string> {
  const { table, entry, position } = conflict;
  const { schema, name } = table.relation;
  const { rows } = await session.client.query<{ id: string }>(stoppedSql, [
    ...[session.task, session.shard, position, schema, name],
    keyJson(table, entry),
  ]);
  if (rows[0]) return rows[0].id;
  const [id] = await writeLines(session, [conflict], settings);
  const values = [session.task, session.shard, 1, [loggedKind(entry)], [1]];
  await session.client.query({ name: 'count-conflicts', text: countSql, values });
  return id!;
}

/** Gives the ids of the lines. */
async function writeLines(
  { client, task, shard }: Session,
  conflicts: readonly LoggedConflict[],
  settings: ConflictLogSettings,
): Promise<string[]> {
  const lines = conflicts.map((conflict) => lineOf(conflict, settings.rows === 'full'));
  const { rows } = await client.query<{ id: string }>({
    name: 'log-conflicts',
    text: logSql,
    values: [task, shard, ...lines[0]!.map((_, column) => lines.map((line) => line[column]))],
  });
  return rows.map(({ id }) => id);
}

/** The values of a line in the order of the statement. */
function lineOf({ entry, table, position, first }: LoggedConflict, full: boolean): (string | null)[] {
  const { source, destination } = entry;
  const kept = (row: Row | null) => (full ? rowJson(table, row) : null);
  const hashed = (row: Row | null) => (full ? null : hashOf(rowJson(table, row)));
  const timeText = (time: bigint | null) => (time === null ? null : timestampText(time));
  return [
    ...[position, first, loggedKind(entry), entry.policy, entry.result],
    ...[table.relation.schema, table.relation.name, keyJson(table, entry)],
    ...[kept(source.row), kept(destination.row), hashed(source.row), hashed(destination.row)],
    ...[timeText(source.time), timeText(destination.time), source.side, destination.side],
    entry.unsure ? entry.kind : null,
  ];
}

const keyJson = (table: ApplyTable, entry: ConflictEntry): string =>
  JSON.stringify(Object.fromEntries(table.key.map((k, i) => [table.columns[k]!, entry.key[i]])));

/** A value that was not sent is left out. */
const rowJson = (table: ApplyTable, row: Row | null): string | null =>
  row && JSON.stringify(Object.fromEntries(table.columns.map((c, i) => [c, row[i]])));

const hashOf = (text: string | null): string | null =>
  text === null ? null : createHash('sha256').update(text).digest('hex');

const pruneSql = /* sql */ `
  delete from pgtwin.conflict where id in (
    select id from pgtwin.conflict where task = $1 and at < now() - make_interval(days => $2) order by at limit 10000)`;

const PRUNE_EVERY_MS = 10 * 60_000;
const prunedAt = new WeakMap<Session, number>();

/** Forgets lines that are older than the task keeps them; now and then, in the apply transaction under way. */
export async function pruneLog(session: Session, settings: ConflictLogSettings, now: number): Promise<void> {
  if (now - (prunedAt.get(session) ?? Number.NEGATIVE_INFINITY) < PRUNE_EVERY_MS) return;
  prunedAt.set(session, now);
  await session.client.query(pruneSql, [session.task, settings.retentionDays]);
}
