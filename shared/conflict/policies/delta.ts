import type { Row } from '../rows.ts';
import { addIncrement } from './decimal.ts';
import type { Policy, Settings } from './policy.ts';

/**
 * The row with the increments of the arriving change (from `base` to `changed`) added to the local values of the delta
 * columns. A column whose three values are not all plain numbers is left as the row has it.
 */
export const withIncrements = (row: Row, base: Row, changed: Row, local: Row, settings: Settings): Row => {
  const sums = new Map<number, string>();
  for (const column of settings.deltaColumns) {
    const [value, from, to] = [local[column], base[column], changed[column]];
    if (typeof value !== 'string' || typeof from !== 'string' || typeof to !== 'string') continue;
    const sum = addIncrement(value, from, to);
    if (sum !== null) sums.set(column, sum);
  }
  return sums.size === 0 ? row : row.map((value, column) => sums.get(column) ?? value);
};

/**
 * Both sides' increments of the delta columns count, even where the rest of the row loses; the other columns are
 * decided by another policy, which is not asked where the change is nothing but increments.
 */
export const delta =
  (rest: Policy): Policy =>
  (contest, settings) => {
    const { base, source, local } = contest;
    if (base === null || source.row === null || local.row === null) return rest(contest, settings);
    const from = source.row;
    const onlyIncrements = from.every(
      (value, column) =>
        value === undefined || value === base[column] || settings.deltaColumns.includes(column),
    );
    const verdict = onlyIncrements ? 'destination' : rest(contest, settings);
    if (verdict === 'fail' || verdict === 'delete') return verdict;
    const row = verdict === 'source' ? from : verdict === 'destination' ? local.row : verdict.row;
    return { row: withIncrements(row, base, from, local.row, settings) };
  };
