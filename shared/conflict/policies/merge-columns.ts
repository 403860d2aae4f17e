import type { Row, Value } from '../rows.ts';
import type { Policy } from './policy.ts';

/**
 * Each column from the side that changed it, measured from the row that the arriving change was made on. A column that
 * both changed, differently, is decided by the fallback (which also decides where a row is missing or no base is known).
 */
export const mergeColumns =
  (fallback: Policy): Policy =>
  (contest, settings) => {
    const { base, source, local } = contest;
    if (base === null || source.row === null || local.row === null) return fallback(contest, settings);
    const from = source.row;
    const to = local.row;
    const contested = from.map(
      (value, column) =>
        !settings.deltaColumns.includes(column) && isContested(base[column], value, to[column]),
    );
    const verdict = contested.includes(true) ? fallback(contest, settings) : 'destination';
    if (verdict === 'fail' || verdict === 'delete') return verdict;
    const won: Row = verdict === 'source' ? from : verdict === 'destination' ? to : verdict.row;
    return {
      row: to.map((value, column) => {
        if (contested[column]) return won[column];
        return isChanged(base[column], from[column]) ? from[column] : value;
      }),
    };
  };

const isChanged = (base: Value, value: Value): boolean => value !== undefined && value !== base;

const isContested = (base: Value, from: Value, to: Value): boolean =>
  isChanged(base, from) && isChanged(base, to) && from !== to;
