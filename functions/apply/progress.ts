import { ownText, parseOwn } from '../../shared/conflict/own-state.ts';
import { nothingSeen, parseSeen, type Seen, seenText } from '../../shared/conflict/seen.ts';
import { addXids, type XidRanges } from '../../shared/conflict/xid-ranges.ts';
import { timestampText } from '../../shared/postgres/pgoutput.ts';
import { asPosition, type Position } from '../../shared/stream/position.ts';
import type { Session } from './session.ts';

/** The progress row as locked at the head of an apply transaction. */
export type Progress = {
  readonly generation: number;
  readonly epoch: number;
  readonly position: Position;
  readonly resendEpoch: number;
  /** What this side has seen of the source's transactions. */
  readonly seen: Seen;
  /** The newest xids of apply itself on this database, in this shard. */
  readonly own: XidRanges;
  /** The newest floor of this side that an author of what was applied had seen, in this shard. */
  readonly ownFloor: bigint;
  /** The smallest one of the other shards, if there are any: what is still to come there may know no more. */
  readonly othersFloor: bigint | undefined;
  /** Set if the opposite task has a slot here: transactions below had ended when it was made. */
  readonly slotXmin: bigint | undefined;
  /** The local database's next xid. */
  readonly next: bigint;
  /** The xid of this transaction (a row lock has one). */
  readonly xid: bigint;
};

const lockSql = /* sql */ `
  select p.generation, p.epoch, p.position, p.resend_epoch, p.seen, p.own, t.slot_xmin,
         (select array_agg(coalesce(o.own, '')) from pgtwin.apply_progress o
           where o.task = $1 and o.shard <> $2) as others,
         (select d.xmin::text from pgtwin.task d where d.task = $1 and d.role = 'destination') as definition,
         pg_snapshot_xmax(pg_current_snapshot())::text as next, pg_current_xact_id()::text as xid
    from pgtwin.apply_progress p
    left join pgtwin.task t on t.task = $3 and t.role = 'source'
   where p.task = $1 and p.shard = $2 for update of p`;

/** Locks and reads the row: two invocations of one group can overlap, this puts them one behind the other. */
export async function lockProgress(session: Session, opposite: string): Promise<Progress | undefined> {
  const { rows } = await session.client.query({
    name: 'lock-progress',
    text: lockSql,
    values: [session.task, session.shard, opposite],
  });
  const row = rows[0];
  if (!row) return undefined;
  session.definedAs(row.definition);
  const seen = row.seen ? parseSeen(row.seen) : nothingSeen;
  const own = parseOwn(row.own);
  return {
    generation: Number(row.generation),
    epoch: Number(row.epoch),
    position: asPosition(row.position),
    resendEpoch: Number(row.resend_epoch),
    seen,
    own: own.xids,
    ownFloor: own.floor,
    othersFloor: (row.others as string[] | null)?.map((text) => parseOwn(text).floor).reduce(least),
    slotXmin: row.slot_xmin === null ? undefined : BigInt(row.slot_xmin),
    next: BigInt(row.next),
    xid: BigInt(row.xid),
  };
}

const least = (one: bigint, other: bigint): bigint => (one < other ? one : other);

// The row of apply_xid is written last, whatever its place here, and is not published.
const advanceSql = /* sql */ `
  with own as (insert into pgtwin.apply_xid (task, xid) select $1, $12::int8 where $12::int8 is not null)
  update pgtwin.apply_progress
     set generation = $3, epoch = $4, position = greatest(position, $5), end_lsn = greatest(end_lsn, $6::pg_lsn), source_time = $7, seen = $8, own = $9,
         transactions = transactions + $10, changes = changes + $11, applied_at = clock_timestamp()
   where task = $1 and shard = $2`;

export type Advance = {
  readonly generation: number;
  readonly epoch: number;
  readonly position: Position;
  readonly endLsn: string;
  readonly sourceTime: bigint;
  readonly seen: Seen;
  readonly own: XidRanges;
  /** Apply's recent xids with this one, and what the source had seen of this side: below its floor none is needed. */
  /** This transaction's xid, unless it writes no rows. */
  readonly xid: bigint | undefined;
  readonly ownFloor: bigint;
  readonly transactions: number;
  readonly changes: number;
};

/** Sends what moves the watermark: the first row change of the transaction. */
export function advanceProgress({ client, sent, task, shard }: Session, a: Advance): void {
  const all = a.xid === undefined ? a.own : addXids(a.own, [a.xid]);
  const values = [
    ...[task, shard, a.generation, a.epoch, a.position, a.endLsn, timestampText(a.sourceTime)],
    ...[seenText(a.seen), ownText({ xids: all, floor: a.ownFloor }), a.transactions, a.changes],
    a.xid?.toString() ?? null,
  ];
  sent.add(client.query({ name: 'advance-progress', text: advanceSql, values }));
}

/** Messages are missing: asks for a re-send of everything above the watermark in a later epoch. */
export const noteGap = async (session: Session, epoch: number): Promise<void> => {
  await session.client.query(
    /* sql */ `update pgtwin.apply_progress set resend_epoch = greatest(resend_epoch, $3)
                where task = $1 and shard = $2`,
    [session.task, session.shard, epoch + 1],
  );
};
