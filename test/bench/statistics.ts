/** The middle value; of an even number the mean of both in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The value below which so many of the values lie; `share` from 0 to 1. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
}

export type Ratio = {
  readonly native: number;
  readonly pgtwin: number;
  /** Above 1: pgtwin is faster. Of figures of the same round, the median. */
  readonly ratio: number;
  /** The smallest and the largest ratio of a round. */
  readonly spread: readonly [number, number];
};

/** Compares figures of the same rounds, in which both worked one after the other on the same machine. */
export function compare(
  native: readonly number[],
  pgtwin: readonly number[],
  better: 'higher' | 'lower',
): Ratio {
  const ratios = native.map((n, i) => (better === 'higher' ? pgtwin[i]! / n : n / pgtwin[i]!));
  return {
    native: rounded(median(native)),
    pgtwin: rounded(median(pgtwin)),
    ratio: rounded(median(ratios)),
    spread: [rounded(Math.min(...ratios)), rounded(Math.max(...ratios))],
  };
}

/** Three significant digits, and whole numbers from 1,000 on. */
export const rounded = (value: number): number =>
  value >= 1000 ? Math.round(value) : Number(value.toPrecision(3));
