import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { TableName } from '../../shared/postgres/catalog.ts';
import { readForeignKeys, signatureOf } from '../../shared/postgres/foreign-keys.ts';
import { qualified } from '../../shared/postgres/ident.ts';
import { nameOf } from './plan.ts';
import type { Session } from './session.ts';
import { type ApplyTable, columnList } from './tables.ts';

/** A foreign key between two tables of the task that refers to the key by which the stream names the parent's rows. */
export type Reference = {
  readonly child: ApplyTable;
  readonly parent: ApplyTable;
  /** Columns of the child by index, one for each of `parent.key`. */
  readonly columns: readonly number[];
};

export type References = {
  /** Where the table is the child, and where it is the parent. */
  readonly toParents: readonly Reference[];
  readonly toChildren: readonly Reference[];
};
const none: References = { toParents: [], toChildren: [] };
const known = new WeakMap<ApplyTable, References>();

/** The foreign keys of a table, read once per definition. `isKnown`: the other side has the same one. */
export async function readReferences(
  session: Session,
  table: ApplyTable,
  isKnown: (child: ApplyTable, signature: string) => boolean,
): Promise<References> {
  const before = known.get(table);
  if (before) return before;
  const found: Reference[] = [];
  const { schema, name } = table.relation;
  for (const key of await readForeignKeys(session.client, [{ schema, name }])) {
    const of = async (other: TableName) => {
      const sql = qualified(other.schema, other.name);
      if (sql === table.sql) return table;
      // Known by its name at the source: one that is called otherwise here is not found.
      const found = await session.tableNamed(sql);
      return found?.sql === sql ? found : undefined;
    };
    const child = await of(key.child);
    const parent = await of(key.parent);
    if (!child || !parent || key.parentColumns.length !== parent.key.length) continue;
    const columns = parent.key.map((k) => {
      const at = key.parentColumns.indexOf(parent.columns[k]!);
      return at < 0 ? -1 : child.columns.indexOf(key.columns[at]!);
    });
    if (!columns.includes(-1) && isKnown(child, signatureOf(key))) found.push({ child, parent, columns });
  }
  const references =
    found.length === 0
      ? none
      : {
          toParents: found.filter(({ child }) => child === table),
          toChildren: found.filter(({ parent }) => parent === table),
        };
  known.set(table, references);
  return references;
}

/** `(select distinct …) s(c0, c1, …)` of arrays of texts, one a column, without those with a NULL. */
const given = (table: ApplyTable, columns: readonly number[]): string => {
  const type = (c: number) => table.types[c]!;
  const arrays = columns.map((c, i) => `$${i + 1}::${type(c).literal ? `${type(c).cast}[]` : 'text[]'}`);
  const names = columns.map((_, i) => `c${i}`);
  const values = columns.map((c, i) => `u.c${i}::${type(c).cast} as c${i}`);
  const present = columns.map((_, i) => `u.c${i} is not null`);
  return `(select distinct ${values.join(', ')} from unnest(${arrays.join(', ')}) u(${names.join(', ')}) where ${present.join(' and ')}) s`;
};

const equal = (table: ApplyTable, columns: readonly number[], alias: string): string =>
  columns.map((c, i) => `${alias}.${columnList(table, [c])} = s.c${i}`).join(' and ');

/**
 * Whether a parent of these children is missing. Those that are there are locked as PostgreSQL's own check does it, so
 * that no user deletes one before we commit.
 */
export async function lackParents(
  session: Session,
  { child, parent, columns }: Reference,
  values: readonly unknown[],
): Promise<boolean> {
  const text = /* sql */ `
    with s as materialized (select * from ${given(child, columns)}),
         p as materialized (select 1 from s, ${parent.target} t where ${equal(parent, parent.key, 't')} for key share of t)
    select (select count(*) from s) > (select count(*) from p) as found`;
  return found(session, text, values);
}

/** Whether one of these keys has no row any more, but children. */
export async function leaveChildren(
  session: Session,
  { child, parent, columns }: Reference,
  values: readonly unknown[],
): Promise<boolean> {
  // Without an index on the child's columns it is read once, and not once for each key.
  await session.client.query(/* sql */ `set local enable_hashjoin = on`);
  const text = /* sql */ `
    select exists (select from ${given(parent, parent.key)}
                    where exists (select from ${child.target} c where ${equal(child, columns, 'c')})
                      and not exists (select from ${parent.target} t where ${equal(parent, parent.key, 't')})) as found`;
  const result = await found(session, text, values);
  await session.client.query(/* sql */ `set local enable_hashjoin = off`);
  return result;
}

async function found(session: Session, text: string, values: readonly unknown[]): Promise<boolean> {
  const { rows } = await session.client.query<{ found: boolean }>({
    name: nameOf(text),
    text,
    values: [...values],
  });
  if (!rows[0]) throw new PgtwinError('internal', { detail: 'A check of foreign keys gave no row.' });
  return rows[0].found;
}

/** Keys of the children of a parent that is missing, locked; none if it is there, which then stays so. */
export async function orphansOf(
  session: Session,
  { child, parent, columns }: Reference,
  key: readonly string[],
): Promise<string[][]> {
  const on = (table: ApplyTable, of: readonly number[]): string =>
    of.map((c, i) => `t.${columnList(table, [c])} = $${i + 1}::${table.types[c]!.cast}`).join(' and ');
  const there = await session.client.query(
    /* sql */ `select from ${parent.target} t where ${on(parent, parent.key)} for key share`,
    [...key],
  );
  if (there.rowCount !== 0) return [];
  const result = await session.client.query({
    text: /* sql */ `select ${columnList(child, child.key, 't.')} from ${child.target} t where ${on(child, columns)} for update`,
    values: [...key],
    rowMode: 'array',
    types: { getTypeParser: () => (value: string) => value },
  });
  return result.rows as unknown as string[][];
}
