import type { Key } from '../../shared/conflict/rows.ts';
import type { Session } from './session.ts';
import type { ApplyTable } from './tables.ts';

/** When a user deleted a row here, in the transaction `xmin`. */
export type Tombstone = { readonly xmin: number; readonly time: bigint | null };

const timeSql = /* sql */ `(extract(epoch from pg_xact_commit_timestamp(t.xmin)) * 1000000)::int8::text`;
const readSql = (times: boolean) => /* sql */ `
  select t.xmin::text as xmin, ${times ? timeSql : 'null::text'} as time from pgtwin.tombstone t
   where t.task = $1 and t.relation = $2 and t.key = $3 order by t.id desc limit 1`;

/** The newest deletion of a key by a user of this side; a trigger notes them in the deletion's own transaction. */
export async function readTombstone(
  session: Session,
  table: ApplyTable,
  key: Key,
): Promise<Tombstone | undefined> {
  const values = [session.task, table.sql, [...key]];
  const { rows } = await session.client.query<{ xmin: string; time: string | null }>(
    readSql(session.commitTimes),
    values,
  );
  const row = rows[0];
  return row && { xmin: Number(row.xmin), time: row.time === null ? null : BigInt(row.time) };
}

const PRUNE_EVERY_MS = 10_000;
/** Where nobody tells what was seen: how long a change may be on its way. */
const KEPT_DAYS = 7;
const prunedAt = new WeakMap<Session, number>();

/** Forgets deletions that the other side has seen, now and then; without a reverse task those that are old. */
export async function pruneTombstones(
  session: Session,
  floor: bigint | undefined,
  now: number,
): Promise<void> {
  if (now - (prunedAt.get(session) ?? Number.NEGATIVE_INFINITY) < PRUNE_EVERY_MS) return;
  prunedAt.set(session, now);
  await session.client.query(
    /* sql */ `delete from pgtwin.tombstone where task = $1
                  and (xid::numeric < $2::numeric or $2 is null and at < now() - make_interval(days => $3))`,
    [session.task, floor?.toString() ?? null, KEPT_DAYS],
  );
}
