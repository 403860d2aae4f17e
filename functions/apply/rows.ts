import { filled, type Key, type Row, type Unique, type Value } from '../../shared/conflict/rows.ts';
import { withConstraints } from './deferrable.ts';
import { joinOn, nameOf, rowSource } from './plan.ts';
import type { Session } from './session.ts';
import { type ApplyTable, columnList } from './tables.ts';

/** A row as it is here, locked: values as text, xmin, and commit time in microseconds where it is known. */
export type LockedRow = {
  readonly values: Row;
  readonly xmin: number;
  readonly time: bigint | null;
  /** Where it is stored: the same for the same version of the same row. */
  readonly place: string;
};

/** Values come as PostgreSQL printed them: a cast to text would print some of them differently. */
const raw = { getTypeParser: () => (value: string) => value };

const cast = (table: ApplyTable, column: number, parameter: number): string =>
  `$${parameter}::${table.types[column]!.cast}`;

const conditionOf = (table: ApplyTable, columns: readonly number[], first = 1): string =>
  columns.map((c, i) => `t.${columnList(table, [c])} = ${cast(table, c, first + i)}`).join(' and ');

/** Reads one row under lock by the values of a key; null values match NULL (NULLS NOT DISTINCT). */
export async function lockRow(
  session: Session,
  table: ApplyTable,
  columns: readonly number[],
  values: readonly Value[],
): Promise<LockedRow | undefined> {
  const matched = columns.filter((_, i) => values[i] !== null);
  const conditions = [
    ...(matched.length > 0 ? [conditionOf(table, matched)] : []),
    ...columns.filter((_, i) => values[i] === null).map((c) => `t.${columnList(table, [c])} is null`),
  ];
  const given = columns.flatMap((_, i) => (values[i] === null ? [] : [values[i]]));
  return lockWhere(session, table, conditions.join(' and '), given);
}

/** Reads the row that a row with these values would collide with, under lock. */
export async function lockCollision(
  session: Session,
  table: ApplyTable,
  unique: Unique,
  values: readonly Value[],
): Promise<LockedRow | undefined> {
  const special = table.special.get(unique);
  if (!special) return lockRow(session, table, unique.columns, values);
  // The index's own expressions, once over the table and once over a row of the given values.
  const row = unique.columns
    .map((c, i) => `${cast(table, c, i + 1)} as ${columnList(table, [c])}`)
    .join(', ');
  const given = (sql: string): string => `(select ${sql} from (select ${row}) given)`;
  const equal = special.nullsEqual ? 'is not distinct from' : '=';
  const conditions = special.expressions.map((sql) => `(${sql}) ${equal} ${given(`(${sql})`)}`);
  if (special.predicate) conditions.push(`(${special.predicate})`, given(`(${special.predicate})`));
  return lockWhere(session, table, conditions.join(' and '), values);
}

async function lockWhere(
  session: Session,
  table: ApplyTable,
  condition: string,
  values: readonly Value[],
): Promise<LockedRow | undefined> {
  const result = await session.client.query({
    text: /* sql */ `select ${lockedColumns(session, table)} from ${table.target} t where ${condition} for update`,
    values: [...values],
    rowMode: 'array',
    types: raw,
  });
  const row = (result.rows as unknown as (string | null)[][])[0];
  return row && lockedRow(row);
}

const lockedColumns = (session: Session, table: ApplyTable): string => {
  const time = session.commitTimes
    ? `(extract(epoch from case when t.xmin::text::int8 > 2 then pg_xact_commit_timestamp(t.xmin) end) * 1000000)::int8::text`
    : 'null::text';
  const all = table.columns.map((_, i) => i);
  return `t.xmin::text, t.tableoid || ' ' || t.ctid, ${time}, ${columnList(table, all, 't.')}`;
};

const lockedRow = ([xmin, place, at, ...values]: readonly (string | null)[]): LockedRow => ({
  xmin: Number(xmin),
  place: place!,
  time: at ? BigInt(at) : null,
  values,
});

/** Reads the rows with these keys under lock, in the order of the keys as the index has it; by index of the keys. */
export async function lockRows(
  session: Session,
  table: ApplyTable,
  keys: readonly Key[],
): Promise<(LockedRow | undefined)[]> {
  const found = keys.map((): LockedRow | undefined => undefined);
  if (keys.length === 0) return found;
  const s = { table, columns: table.key };
  const text = /* sql */ `select s.n::text, ${lockedColumns(session, table)} from ${rowSource(s, { ordinality: true, sorted: true })}
                           join ${table.target} t on ${joinOn(s, table.key)} for update of t`;
  const { rows } = await session.client.query({
    name: nameOf(text),
    text,
    values: table.key.map((_, i) => keys.map((key) => key[i])),
    rowMode: 'array',
    types: raw,
  });
  for (const [n, ...row] of rows as unknown as (string | null)[][]) found[Number(n) - 1] = lockedRow(row);
  return found;
}

/** All keys of a table, for a TRUNCATE. In portions, since a table may be large. */
export async function readKeys(
  session: Session,
  table: ApplyTable,
  after: Key | undefined,
  limit: number,
): Promise<Key[]> {
  const list = columnList(table, table.key, 't.');
  const where = after
    ? `where (${list}) > (${table.key.map((k, i) => cast(table, k, i + 1)).join(', ')})`
    : '';
  const result = await session.client.query({
    text: /* sql */ `select ${list} from ${table.target} t ${where} order by ${list} limit ${limit}`,
    values: after ? [...after] : [],
    rowMode: 'array',
    types: raw,
  });
  return result.rows as unknown as string[][];
}

export async function insertRow(session: Session, table: ApplyTable, row: Row): Promise<void> {
  const columns = row.flatMap((value, c) => (value === undefined ? [] : [c]));
  const values = columns.map((c, i) => cast(table, c, i + 1)).join(', ');
  await withConstraints(session, table, () =>
    session.client.query(
      /* sql */ `insert into ${table.sql} (${columnList(table, columns)}) overriding system value values (${values})`,
      columns.map((c) => row[c]),
    ),
  );
}

/** Writes what was sent of a row over the one with this key; the key itself may change. */
export async function updateRow(session: Session, table: ApplyTable, key: Key, row: Row): Promise<void> {
  if (await replaceFixed(session, table, key, row)) return;
  // The key is set as well: equal keys may print differently.
  const columns = row.flatMap((value, c) => (value === undefined || table.notUpdatable.has(c) ? [] : [c]));
  if (columns.length === 0) return;
  const set = columns.map((c, i) => `${columnList(table, [c])} = ${cast(table, c, i + 1)}`);
  await withConstraints(session, table, () =>
    session.client.query(
      /* sql */ `update ${table.target} t set ${set.join(', ')} where ${conditionOf(table, table.key, columns.length + 1)}`,
      [...columns.map((c) => row[c]), ...key],
    ),
  );
}

/** A column that is GENERATED ALWAYS AS IDENTITY can't be set: where it changes, the row is deleted and inserted. */
async function replaceFixed(session: Session, table: ApplyTable, key: Key, row: Row): Promise<boolean> {
  const fixed = [...table.notUpdatable].filter((c) => {
    const place = table.key.indexOf(c);
    return row[c] !== undefined && (place < 0 || row[c] !== key[place]);
  });
  if (fixed.length === 0) return false;
  const differ = fixed.map((c, i) => `t.${columnList(table, [c])} <> ${cast(table, c, i + 1)}`).join(' or ');
  const all = table.columns.map((_, i) => i);
  const { rows } = await session.client.query({
    text: /* sql */ `delete from ${table.target} t where (${differ}) and ${conditionOf(table, table.key, fixed.length + 1)}
                     returning ${columnList(table, all, 't.')}`,
    values: [...fixed.map((c) => row[c]), ...key],
    rowMode: 'array',
    types: raw,
  });
  const former = (rows as unknown as (string | null)[][])[0];
  if (!former) return false;
  await insertRow(session, table, filled(row, former));
  return true;
}

export const deleteRow = async (session: Session, table: ApplyTable, key: Key): Promise<void> => {
  await session.client.query(
    /* sql */ `delete from ${table.target} t where ${conditionOf(table, table.key)}`,
    [...key],
  );
};
