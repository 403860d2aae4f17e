import { type OwnState, ownText, parseOwn } from '../../shared/conflict/own-state.ts';
import {
  nothingSeen,
  parseSeen,
  type Seen,
  seenText,
  widenXid,
  withTransactions,
} from '../../shared/conflict/seen.ts';
import { addXids } from '../../shared/conflict/xid-ranges.ts';
import { type Relation, tag, timestampText } from '../../shared/postgres/pgoutput.ts';
import type { DecodedChanges } from '../../shared/stream/decode.ts';
import { asPosition, type Position } from '../../shared/stream/position.ts';
import { shardOfTuple } from '../../shared/stream/shard.ts';
import type { Place, Placing } from '../../shared/task/placing.ts';
import { readControlRow } from './control-rows.ts';
import type { Session } from './session.ts';

/**
 * A transaction that concerns several shards is applied in the group of the first one, with the progress rows of all
 * locked: its capture sends it when all have applied what came before, and goes on when all stand at its position.
 */
export type OtherShard = {
  readonly shard: number;
  readonly position: Position;
  readonly seen: Seen;
  readonly own: OwnState;
};

// In the order in which everybody locks them; the session's own, the first, is locked.
const lockSql = /* sql */ `
  select shard, position, seen, own from pgtwin.apply_progress where task = $1 and shard <> $2 order by shard for update`;

/** Locks and reads the progress rows of the other shards. */
export async function lockOthers({ client, task, shard }: Session): Promise<OtherShard[]> {
  const { rows } = await client.query({ name: 'lock-others', text: lockSql, values: [task, shard] });
  return rows.map((row) => ({
    shard: Number(row.shard),
    position: asPosition(row.position),
    seen: row.seen ? parseSeen(row.seen) : nothingSeen,
    own: parseOwn(row.own),
  }));
}

const advanceSql = /* sql */ `
  update pgtwin.apply_progress
     set epoch = greatest(epoch, $3), position = greatest(position, $4), end_lsn = greatest(end_lsn, $5::pg_lsn),
         source_time = greatest(source_time, $6::timestamptz), seen = $7, own = $8, applied_at = clock_timestamp()
   where task = $1 and shard = $2`;

/** The shards that do not have what stands at a position. */
export const shardsWithout = (
  last: Position,
  shards: readonly { readonly shard: number; readonly position: Position }[],
): Set<number> => new Set(shards.filter(({ position }) => position < last).map(({ shard }) => shard));

/** The watermark that a message is admitted by: it is to be applied as long as it is missing in any shard. */
export const watermarkFor = <P extends { readonly position: Position }>(
  { previous, last }: { readonly previous: Position; readonly last: Position },
  progress: P,
  missing: ReadonlySet<number>,
): P => (missing.size > 0 && progress.position >= last ? { ...progress, position: previous } : progress);

/** The transaction as the other shards note it: they have seen it, and what it writes is apply's own for them too. */
export function advanceOthers(
  { client, sent, task }: Session,
  others: readonly OtherShard[],
  it: {
    readonly epoch: number;
    readonly position: Position;
    readonly endLsn: string;
    readonly time: bigint;
    readonly sourceXid: number;
    /** Its xid here. */
    readonly xid: bigint;
  },
): void {
  for (const { shard, seen, own } of others) {
    const noted = withTransactions(seen, [{ xid: widenXid(it.sourceXid, seen.next), time: it.time }]);
    const values = [
      ...[task, shard, it.epoch, it.position, it.endLsn, timestampText(it.time)],
      ...[seenText(noted), ownText({ ...own, xids: addXids(own.xids, [it.xid]) })],
    ];
    sent.add(client.query({ name: 'advance-others', text: advanceSql, values }));
  }
}

/**
 * The changes of these shards only. Others have theirs already where the transaction went out once in the shards' own
 * messages: whether a large one goes as a whole is not the same each time it is read.
 */
export function changesOfShards(
  changes: DecodedChanges,
  placing: Placing,
  shards: ReadonlySet<number>,
): DecodedChanges {
  const { bytes, tags, relations, newAt, oldAt, indexes } = changes;
  const places = new Map<Relation, Place>();
  const placeOf = (relation: Relation): Place => {
    const known = places.get(relation) ?? placing.of(relation);
    places.set(relation, known);
    return known;
  };
  const isTheirs = (i: number): boolean => {
    const relation = relations[i]!;
    // A truncate is never sent in another way.
    if (tags[i] === tag.truncate) return true;
    const at = newAt[i]! || Math.abs(oldAt[i]!);
    if (relation.schema === 'pgtwin') {
      const control = readControlRow(bytes, relation, at);
      return control !== undefined && shards.has(placing.ofKey(control.relation, control.key));
    }
    const place = placeOf(relation);
    if (typeof place === 'number') return shards.has(place);
    return shards.has(shardOfTuple(bytes, at, place, placing.shards, newAt[i] ? Math.abs(oldAt[i]!) : 0));
  };
  const kept: number[] = [];
  const transactions = changes.transactions.map((transaction) => {
    const from = kept.length;
    for (let i = transaction.from; i < transaction.to; i++) if (isTheirs(i)) kept.push(i);
    return { ...transaction, from, to: kept.length };
  });
  const pick = <T>(list: readonly T[]): T[] => kept.map((i) => list[i]!);
  return {
    ...{ bytes, transactions, tags: pick(tags), relations: pick(relations) },
    ...{ newAt: pick(newAt), oldAt: pick(oldAt), indexes: pick(indexes) },
  };
}
