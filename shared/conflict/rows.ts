/** A value as PostgreSQL text; null is NULL, undefined an unchanged TOAST value that was not sent. */
export type Value = string | null | undefined;

/** The values of the table's synchronized columns, in their order. */
export type Row = readonly Value[];

/** The values of the identity columns, in the order of `Table.key`. They are never NULL. */
export type Key = readonly string[];

/** A side of the pair. */
export type Side = 'a' | 'b';

/** A further unique key: column indexes, and whether NULLs collide (`NULLS NOT DISTINCT`). */
export type Unique = { readonly columns: readonly number[]; readonly nullsEqual: boolean };

/** What the decision code must know of a table. Columns are indexes into a row. */
export type Table = {
  readonly name: string;
  readonly columns: readonly string[];
  readonly key: readonly number[];
  readonly uniques: readonly Unique[];
};

/** The identity key of a row. */
export const keyOf = (table: Table, row: Row): Key => table.key.map((column) => row[column] as string);

/** A key as one string, different for different keys: what maps and choices are kept by. */
export const keyText = (key: Key): string => (key.length === 1 ? key[0]! : JSON.stringify(key));

export const sameKey = (one: Key, other: Key): boolean =>
  one.length === other.length && one.every((value, index) => value === other[index]);

/** True if every column was sent. */
export const isComplete = (row: Row): boolean => !row.includes(undefined);

/** The row with its unsent values taken from another version of it. */
export const filled = (row: Row, from: Row | null): Row =>
  from === null || isComplete(row)
    ? row
    : row.map((value, index) => (value === undefined ? from[index] : value));

/** True if both are complete and equal in every column. */
export const sameRow = (one: Row, other: Row): boolean =>
  one.length === other.length && one.every((value, index) => value !== undefined && value === other[index]);

/** The values that must be unique, or null where a NULL among them lets the row collide with none. */
export const uniqueValues = (unique: Unique, row: Row): Row | null => {
  const values = unique.columns.map((column) => row[column]);
  return !unique.nullsEqual && values.includes(null) ? null : values;
};
