import type { DecodedTransaction } from '../../shared/stream/decode.ts';
import type { Mode } from './apply-settings.ts';

/** Transactions of a batch that are written together, by their numbers. */
export type Piece = { readonly from: number; readonly to: number; readonly mode: Mode };

/** So few changes are replayed at once: attempts by sets that fail again cost more than their statements. */
const FEW_CHANGES = 100;

/**
 * Halves by sets, until one source transaction or few changes are left: those are replayed change by change; if that
 * fails too, each source transaction by itself, at last strictly.
 */
export function smaller(
  { from, to, mode }: Piece,
  transactions: readonly Pick<DecodedTransaction, 'from' | 'to'>[],
): Piece[] {
  const alone = to - from <= 1;
  const changes = transactions[to - 1]!.to - transactions[from]!.from;
  const bySets = mode === 'copy' || mode === 'sets';
  if (bySets && (alone || changes <= FEW_CHANGES)) return [{ from, to, mode: 'exact' }];
  if (alone) return [{ from, to, mode: 'strict' }];
  const middle = (from + to) >> 1;
  return [
    { from, to: middle, mode },
    { from: middle, to, mode },
  ];
}
