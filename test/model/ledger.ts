import { columns, type State } from './database.ts';

/** What must be there at the end where nothing may be lost: sums of increments, last values of owned columns. */
export type Ledger = {
  readonly count: (key: string, by: number) => void;
  readonly last: (key: string, column: number, value: string) => void;
  /** What is missing, as text, or null. */
  readonly missing: (state: State) => string | null;
};

export const openLedger = (): Ledger => {
  const sums = new Map<string, number>();
  const values = new Map<string, string>();
  return {
    count: (key, by) => sums.set(key, (sums.get(key) ?? 0) + by),
    last: (key, column, value) => values.set(`${key} ${column}`, value),
    missing: (state) => {
      for (const [key, sum] of sums) {
        const found = state.rows.get(key)?.row[columns.n];
        if (found !== String(sum)) return `increments lost: ${key} is ${found}, the sum ${sum}`;
      }
      for (const [where, value] of values) {
        const [key, column] = where.split(' ');
        const found = state.rows.get(key!)?.row[Number(column)];
        if (found !== value) return `column lost: ${where} is ${found}, was written ${value}`;
      }
      return null;
    },
  };
};
