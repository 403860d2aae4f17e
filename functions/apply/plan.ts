import { createHash } from 'node:crypto';
import { unseenSql } from '../../shared/conflict/seen.ts';
import { mark } from '../../shared/postgres/pgoutput.ts';
import { type NetRow, type NetTable, refsOf } from './net-change.ts';
import { LiteralArray, TextArray } from './sets.ts';
import { type ApplyTable, columnList } from './tables.ts';

/** One set-based statement: all rows of one table with one operation and one set of columns. */
export type SetStatement = {
  readonly op: 'insert' | 'update' | 'delete';
  readonly table: ApplyTable;
  /** Columns of the parameters, by index: the key first; of an update then the fixed ones, then what is set. */
  readonly columns: readonly number[];
  readonly rows: readonly NetRow[];
  readonly parameters: readonly (Buffer | string)[];
};

/** Rows per statement: the more, the more of them lie on one page. It bounds what both ends hold in memory. */
const ROWS = 100_000;

/** The statements of one table in the order DELETE, UPDATE, INSERT (pure but for the copying of bytes). */
export function planTable(bytes: Buffer, { table, rows }: NetTable): SetStatement[] {
  const deletes: NetRow[] = [];
  const inserts: NetRow[] = [];
  const updates = new Map<string, UpdateGroup>();
  for (const row of rows.values()) {
    if (row.op === 'delete' || row.op === 'replace') deletes.push(row);
    if (row.op === 'insert' || row.op === 'replace') inserts.push(row);
    if (row.op === 'update') addUpdate(bytes, table, updates, row);
  }
  const all = table.columns.map((_, i) => i);
  const inChunks = (op: SetStatement['op'], columns: readonly number[], of: readonly NetRow[]) =>
    chunks(of).map((part) => statement(op, table, columns, part, bytes));
  return [
    ...inChunks('delete', table.key, deletes),
    // Where no column can be set nothing can have changed.
    ...(table.notUpdatable.size === all.length ? [] : [...updates.values()]).flatMap((group) =>
      inChunks('update', group.columns, group.rows),
    ),
    ...inChunks('insert', all, inserts),
  ];
}

/** Updates that set the same columns. */
type UpdateGroup = { readonly columns: readonly number[]; readonly rows: NetRow[] };

/** The offsets of a tuple that is being read; one array for all of them. */
const scratch: number[] = [];

function addUpdate(bytes: Buffer, table: ApplyTable, updates: Map<string, UpdateGroup>, row: NetRow): void {
  const refs = row.refs ?? refsOf(bytes, row.at, scratch);
  let unsent = '';
  for (let c = 0; c < refs.length; c++) if (bytes[refs[c]!] === mark.unchanged) unsent += `${c},`;
  let group = updates.get(unsent);
  if (!group) {
    const set = refs.flatMap((ref, c) =>
      bytes[ref] === mark.unchanged || table.key.includes(c) || table.notUpdatable.has(c) ? [] : [c],
    );
    group = { columns: [...table.key, ...table.fixed, ...set], rows: [] };
    updates.set(unsent, group);
  }
  group.rows.push(row);
}

function statement(
  op: SetStatement['op'],
  table: ApplyTable,
  columns: readonly number[],
  rows: readonly NetRow[],
  bytes: Buffer,
): SetStatement {
  const arrays = columns.map((c) =>
    table.types[c]!.literal ? new LiteralArray() : new TextArray(rows.length * 16),
  );
  for (const row of rows) {
    // What a `replace` deletes is told by the old tuple.
    const old = op === 'delete' && row.op === 'replace';
    const refs = old ? refsOf(bytes, row.deleteAt, scratch) : (row.refs ?? refsOf(bytes, row.at, scratch));
    for (let c = 0; c < arrays.length; c++) arrays[c]!.append(bytes, refs[columns[c]!]!);
  }
  return { op, table, columns, rows, parameters: arrays.map((a) => a.parameter()) };
}

const chunks = (rows: readonly NetRow[]): NetRow[][] => {
  const parts: NetRow[][] = [];
  for (let i = 0; i < rows.length; i += ROWS) parts.push(rows.slice(i, i + ROWS));
  return parts;
};

/**
 * `(select ... from unnest(...))` with a column s.c0, s.c1, ... of the right type for each of the statement's columns.
 * unnest of text arrays took as long as COPY into a temporary table and a merge from 5,000 rows on (2.0 to 2.2 s for
 * 400,000 rows), and less below; it needs no DDL and stays one round trip.
 *
 * `sorted` is by key: each page is visited once, and locks are always taken in the same order. 70,000 random updates
 * of 2,000,000 rows took 1.3 s of processor time in order of arrival and 0.8 s so, the sort included.
 */
export const rowSource = (
  s: Pick<SetStatement, 'table' | 'columns'>,
  { ordinality = false, sorted = false } = {},
): string => {
  const type = (c: number) => s.table.types[c]!;
  const arrays = s.columns.map((c, i) =>
    type(c).literal ? `$${i + 1}::${type(c).cast}[]` : `$${i + 1}::text[]`,
  );
  const names = s.columns.map((_, i) => `c${i}`);
  const values = s.columns.map((c, i) => (type(c).literal ? `u.c${i}` : `u.c${i}::${type(c).cast} as c${i}`));
  const n = ordinality
    ? { with: ' with ordinality', name: ', n', value: ', u.n' }
    : { with: '', name: '', value: '' };
  const order = sorted ? ` order by ${s.table.key.map((k) => s.columns.indexOf(k) + 1).join(', ')}` : '';
  return `(select ${values.join(', ')}${n.value} from unnest(${arrays.join(', ')})${n.with} u(${names.join(', ')}${n.name})${order}) s`;
};

export const joinOn = (s: Pick<SetStatement, 'table' | 'columns'>, columns: readonly number[]): string =>
  columns.map((k) => `t.${columnList(s.table, [k])} = s.c${s.columns.indexOf(k)}`).join(' and ');

/** The text of a statement; with `guard` only rows whose version was seen are touched (three more parameters). */
export function sqlOf(
  s: Pick<SetStatement, 'op' | 'table' | 'columns'>,
  guard: boolean,
  numbered = false,
): string {
  const unseen = guard ? ` and not ${unseenSql('t', s.columns.length + 1)}` : '';
  const { key, fixed } = s.table;
  switch (s.op) {
    case 'delete':
      return /* sql */ `delete from ${s.table.target} t using ${rowSource(s, { ordinality: true, sorted: true })} where ${joinOn(s, key)}${unseen} returning s.n::int4`;
    case 'update': {
      const matched = [...key, ...fixed];
      const set = s.columns
        .slice(matched.length)
        .map((c, i) => `${columnList(s.table, [c])} = s.c${i + matched.length}`);
      if (set.length === 0) {
        const any = columnList(s.table, [s.table.columns.findIndex((_, c) => !s.table.notUpdatable.has(c))]);
        set.push(`${any} = t.${any}`);
      }
      return /* sql */ `update ${s.table.target} t set ${set.join(', ')} from ${rowSource(s, { ordinality: numbered, sorted: true })} where ${joinOn(s, matched)}${unseen}${numbered ? ' returning s.n' : ''}`;
    }
    case 'insert': {
      const values = s.columns.map((_, i) => `s.c${i}`).join(', ');
      const skip = s.table.deferrableUnique ? '' : ' on conflict do nothing';
      return /* sql */ `insert into ${s.table.sql} (${columnList(s.table, s.columns)}) overriding system value select ${values} from ${rowSource(s)}${skip}`;
    }
  }
}

/**
 * A guarded UPDATE that gives the numbers of the rows that were not touched, of as many as a last parameter says. Where
 * some are expected this costs a tenth of looking for them afterwards; where there are none it costs a little.
 */
export const untouchedSql = (s: SetStatement): string => /* sql */ `
  with done as (${sqlOf(s, true, true)})
  select n::text from generate_series(1, $${s.columns.length + 4}::int4) n where n not in (select n from done)`;

/** Which rows of an INSERT or UPDATE did not go as planned: whose key is not there as written by this transaction. */
export function leftoverSql(s: SetStatement): string {
  return /* sql */ `select s.n::int from ${rowSource(s, { ordinality: true })} left join ${s.table.target} t on ${joinOn(s, s.table.key)}
                     where t.xmin is distinct from pg_current_xact_id()::xid`;
}

/** Statements that are kept prepared; each may hold some ten kilobytes at the server. */
const NAMES = 2_000;
const names = new Map<string, string>();

/**
 * Names a prepared statement by its text: whatever changes at the destination, a name never stands for two texts.
 * Undefined, for a statement that is not kept, once there are very many.
 */
export function nameOf(text: string): string | undefined {
  let name = names.get(text);
  if (name === undefined && names.size < NAMES) {
    name = `p${createHash('sha1').update(text).digest('hex')}`;
    names.set(text, name);
  }
  return name;
}
