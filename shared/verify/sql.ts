import { ident, qualified } from '../postgres/ident.ts';
import type { TableName } from '../task/schema.ts';
import type { SideTable } from './tables.ts';

/*
 * The statements that compare a table, the same for both sides but for names and types. Rows are hashed as
 * PostgreSQL prints them, as one text with its quoting: NULL is not the empty text. Ranges are of the key, in an order
 * that both sides have: the key's own where it is the same on both, else that of the bytes of its text.
 */

/** A statement with its parameters; answers are read as text. */
export type Statement = { readonly text: string; readonly values: readonly unknown[] };

/** The rows above a key (null: from the first), up to another (null: to the last). */
export type KeyRange = { readonly after: readonly string[] | null; readonly upTo: readonly string[] | null };

const column = (table: SideTable, index: number): string => `t.${ident(table.columns[index]!.name)}`;

/** A key column as ranges compare and print it. */
const keyValue = (table: SideTable, n: number): string =>
  table.native[n] ? column(table, table.key[n]!) : `${column(table, table.key[n]!)}::text`;
const keyOrder = (table: SideTable, n: number): string =>
  table.native[n] ? keyValue(table, n) : `(${keyValue(table, n)}) collate "C"`;
const keyParameter = (table: SideTable, n: number, parameter: number): string =>
  table.native[n]
    ? `$${parameter}::${table.columns[table.key[n]!]!.type}`
    : `$${parameter}::text collate "C"`;

const keyList = (table: SideTable): string => table.key.map((_, n) => keyValue(table, n)).join(', ');

/** The key as a text that both sides print alike: what rows are matched by. */
const matchOf = (table: SideTable): string => {
  const parts = table.key.map((index) => {
    const { numeric } = table.columns[index]!;
    return numeric ? `pg_catalog.trim_scale(${column(table, index)})` : column(table, index);
  });
  const text = parts.length === 1 ? `${parts[0]}::text` : `row(${parts.join(', ')})::text`;
  return `(${text}) collate "C"`;
};

const rowText = (table: SideTable): string =>
  `(row(${table.columns.map((_, i) => column(table, i)).join(', ')})::text) collate "C"`;

/** Not md5, which servers under FIPS refuse. */
const digest = (text: string): string => `encode(sha256(convert_to(${text}, 'UTF8')), 'hex')`;

function rangeCondition(table: SideTable, { after, upTo }: KeyRange): Statement {
  const values: string[] = [];
  const bound = (operator: string, key: readonly string[]): string => {
    const left = table.key.map((_, n) => keyOrder(table, n)).join(', ');
    const right = key.map((value, n) => {
      values.push(value);
      return keyParameter(table, n, values.length);
    });
    return `(${left}) ${operator} (${right.join(', ')})`;
  };
  const conditions = [...(after ? [bound('>', after)] : []), ...(upTo ? [bound('<=', upTo)] : [])];
  return { text: conditions.length > 0 ? conditions.join(' and ') : 'true', values };
}

/** The key of the row that stands `rows` rows behind a key: no row if there are fewer. */
export function rangeEnd(table: SideTable, after: readonly string[] | null, rows: number): Statement {
  const { text, values } = rangeCondition(table, { after, upTo: null });
  const order = table.key.map((_, n) => keyOrder(table, n)).join(', ');
  return {
    text: /* sql */ `select ${keyList(table)} from ${table.from} t where ${text} order by ${order} offset ${rows - 1} limit 1`,
    values,
  };
}

/** Whether the first key comes before the second, in the order of ranges. */
export function keysInOrder(table: SideTable, one: readonly string[], other: readonly string[]): Statement {
  const parameters = (from: number) => table.key.map((_, n) => keyParameter(table, n, from + n)).join(', ');
  return {
    text: /* sql */ `select (${parameters(1)}) < (${parameters(1 + one.length)})`,
    values: [...one, ...other],
  };
}

const bucketOf = (match: string, buckets: number): string =>
  `(pg_catalog.hashtextextended(${match}, 0) & ${buckets - 1})::int`;

/** Per bucket of a range: its number, how many rows, and two sums over their hashes. */
export function bucketHashes(table: SideTable, range: KeyRange, buckets: number): Statement {
  const { text, values } = rangeCondition(table, range);
  return {
    text: /* sql */ `
      select ${bucketOf('match', buckets)} as bucket, count(*),
             bit_xor(hashtextextended(value, 1))::text || ' ' || bit_xor(hashtextextended(value, 2))::text
        from (select ${matchOf(table)} as match, ${rowText(table)} as value from ${table.from} t where ${text} offset 0) rows
       group by 1`,
    values,
  };
}

/** The rows of some buckets of a range: match, hash, key. */
export function rowsOfBuckets(
  table: SideTable,
  range: KeyRange,
  buckets: number,
  wanted: readonly number[],
): Statement {
  const { text, values } = rangeCondition(table, range);
  return {
    text: /* sql */ `
      select match, ${digest('value')}, ${table.key.map((_, n) => `k${n}`).join(', ')}
        from (select ${matchOf(table)} as match, ${rowText(table)} as value,
                     ${table.key.map((_, n) => `${keyValue(table, n)} as k${n}`).join(', ')}
                from ${table.from} t where ${text} offset 0) rows
       where ${bucketOf('match', buckets)} = any ($${values.length + 1}::int[])`,
    values: [...values, wanted],
  };
}

/** The rows of some pages of a table, or of one of its partitions: match, hash, key. */
export function rowsOfPages(
  table: SideTable,
  heap: TableName,
  pages: { readonly from: number; readonly to: number },
): Statement {
  return {
    text: /* sql */ `
      select ${matchOf(table)}, ${digest(rowText(table))}, ${keyList(table)}
        from only ${qualified(heap.schema, heap.name)} t
       where t.ctid >= '(${pages.from},0)'::tid and t.ctid < '(${pages.to},0)'::tid`,
    values: [],
  };
}

/** The table, or its partitions that hold rows, with their sizes in pages. */
export const heapsSql = /* sql */ `
  select n.nspname, c.relname, pg_relation_size(c.oid) / current_setting('block_size')::int8
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.oid = $1::text::regclass and c.relkind = 'r'
      or c.relkind = 'r' and c.oid in (select relid from pg_partition_tree($1::text::regclass))
   order by n.nspname collate "C", c.relname collate "C"`;

function keysJoin(table: SideTable, keys: readonly (readonly string[])[]): Statement {
  const names = table.key.map((_, n) => `k${n}`);
  const on = table.key.map((index, n) => `${column(table, index)} = k.k${n}::${table.columns[index]!.type}`);
  const arrays = names.map((_, n) => `$${n + 1}::text[]`).join(', ');
  return {
    text: /* sql */ `unnest(${arrays}) with ordinality k(${names.join(', ')}, n) join ${table.from} t on ${on.join(' and ')}`,
    values: table.key.map((_, n) => keys.map((key) => key[n]!)),
  };
}

/** The rows with these keys: the number of the key (from 1) and the row's hash. */
export function hashesOfKeys(table: SideTable, keys: readonly (readonly string[])[]): Statement {
  const { text, values } = keysJoin(table, keys);
  return { text: /* sql */ `select k.n, ${digest(rowText(table))} from ${text}`, values };
}

/** The rows with these keys: the number of the key (from 1) and a hash per column. */
export function columnHashesOfKeys(table: SideTable, keys: readonly (readonly string[])[]): Statement {
  const { text, values } = keysJoin(table, keys);
  const hashes = table.columns.map((_, i) => digest(`row(${column(table, i)})::text`));
  return { text: /* sql */ `select k.n, ${hashes.join(', ')} from ${text}`, values };
}

/** The rows with these keys: the number of the key (from 1), the row's hash, and all its values as printed. */
export function valuesOfKeys(
  table: SideTable,
  keys: readonly (readonly string[])[],
  lock: boolean,
): Statement {
  const { text, values } = keysJoin(table, keys);
  const all = table.columns.map((_, i) => column(table, i)).join(', ');
  return {
    text: /* sql */ `select k.n, ${digest(rowText(table))}, ${all} from ${text}${lock ? ' for update of t' : ''}`,
    values,
  };
}
