/**
 * A commit time raised to just above the newest time that was known when it was made (its own side's earlier
 * transactions and those it had seen of the other), microseconds. So a write that came after another, by way of either
 * database, is never older, however the clocks stand. The capture computes it in commit order; `newest` starts as the
 * larger of `Seen.time` and the last result, and is saved with the checkpoint.
 */
export const hybridTime = (commit: bigint, newest: bigint): bigint =>
  commit > newest ? commit : newest + 1n;
