import type { Verification, VerifyCounts } from './model.ts';

/** Rows that are not the same on both sides, of whatever kind. */
export const differingRows = ({ missingOnA, missingOnB, different, extra }: VerifyCounts): number =>
  missingOnA + missingOnB + different + extra;

/** The monitor has still to do something about it. */
export const isUnderWork = ({ status }: Pick<Verification, 'status'>): boolean =>
  status === 'verifying' || status === 'repairing';
