import type { SeenState } from '../../functions/capture/shard-records.ts';
import { StreamReader } from '../../functions/capture/stream-reader.ts';
import { nothingSeen } from '../../shared/conflict/seen.ts';
import { type Position, zeroPosition } from '../../shared/stream/position.ts';
import { placingOf } from '../../shared/task/placing.ts';

/** A reader of a stream with one shard, whose hybrid times are the commit times. */
export function oneShardReader(
  seen: SeenState = { add() {}, toText: () => '', time: nothingSeen.time },
  skipUpTo: Position = zeroPosition,
): StreamReader {
  return new StreamReader({
    shards: [{ seen, skipUpTo }],
    seenInAll: seen,
    clock: { timeOf: (commit) => commit },
    placing: placingOf([], 1),
  });
}
