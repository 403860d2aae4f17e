import type { Table, Unique } from '../../shared/conflict/rows.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { Queryable } from '../../shared/postgres/connect.ts';
import { ident, qualified } from '../../shared/postgres/ident.ts';
import type { Relation } from '../../shared/postgres/pgoutput.ts';
import type { PreparedTable } from '../../shared/task/schema.ts';
import type { TaskObjects } from './objects.ts';

/** How the text of a value becomes a value of a column. */
export type ColumnType = {
  /** The type as a cast takes it, without length: `pg_catalog.int4`, `"app"."mood"`. */
  readonly cast: string;
  /** True where text has a cast of its own that is not the type's input function, as `"char"` and xml have. */
  readonly literal: boolean;
  /** True for types whose equal values always print the same, as those of numeric (1.0 and 1.00) do not. */
  readonly plain: boolean;
};

/** A unique index over expressions, or partial: SQL over the table's columns, not qualified. */
export type SpecialUnique = {
  readonly expressions: readonly string[];
  readonly predicate: string | null;
  readonly nullsEqual: boolean;
};

/**
 * A destination table as one relation of the source maps to it. Columns are those of the relation, in its order, by
 * their names here.
 */
export type ApplyTable = {
  /** Under the destination's names. */
  readonly relation: Relation;
  /** Under the source's names. */
  readonly source: Relation;
  /** Only some rows are here, and the stream does not tell which: what is missing is no conflict. */
  readonly partial: boolean;
  /** All columns of the table that hold values of their own, whether the relation has them or not. */
  readonly columnsHere: readonly string[];
  /** Its quoted name: what the table is known by. */
  readonly sql: string;
  /** What statements name: with ONLY, for rows of tables that inherit from it are not its own. */
  readonly target: string;
  readonly columns: readonly string[];
  readonly types: readonly ColumnType[];
  /** Indexes of the identity's columns. */
  readonly key: readonly number[];
  /** Not in SET: identity columns that are generated always. Generated columns are not in the stream at all. */
  readonly notUpdatable: ReadonlySet<number>;
  /** Those of them that are not in the key: where one differs, the row is deleted and inserted. */
  readonly fixed: readonly number[];
  /** A deferrable unique or exclusion constraint can't be left to ON CONFLICT (and see `deferrable.ts`). */
  readonly deferrableUnique: boolean;
  /** Triggers of users, foreign keys or rules, which are switched off here. */
  readonly hasTriggers: boolean;
  /** Has rules, whether they are switched off here or not. */
  readonly hasRules: boolean;
  /** Rows in conflict may be read ahead and written behind, by sets: a key is told by its text, a row by its key. */
  readonly inSets: boolean;
  /** Further unique indexes, as the decision code knows them: a collision is one of these columns' values. */
  readonly uniques: readonly Unique[];
  /** Those of them with expressions or a condition: when rows collide is for PostgreSQL to say. */
  readonly special: ReadonlyMap<Unique, SpecialUnique>;
  /** Those of them that are deferrable constraints. */
  readonly deferrable: readonly Unique[];
  /** As the conflict core takes it. */
  readonly table: Table;
  /** The same without deferrable constraints. */
  readonly immediate: Table;
};

// The base type of a domain, however deep, is found by walking pg_type.
const readColumnsSql = /* sql */ `
  with recursive base(attnum, oid) as (
    select a.attnum, a.atttypid from pg_catalog.pg_attribute a where a.attrelid = $1::text::regclass
    union all
    select b.attnum, t.typbasetype from base b join pg_catalog.pg_type t on t.oid = b.oid where t.typbasetype <> 0
  )
  select a.attname as name,
         pg_catalog.format_type(a.atttypid, -1) as type,
         a.attidentity as identity, a.attgenerated <> '' as generated,
         exists (select from base b join pg_catalog.pg_cast c on c.casttarget = b.oid
                  where b.attnum = a.attnum and c.castsource = 'pg_catalog.text'::regtype and c.castmethod = 'f') as literal,
         exists (select from base b
                  where b.attnum = a.attnum
                    and b.oid = any ('{bool,bytea,int2,int4,int8,text,varchar,uuid,date,timestamp,timestamptz}'::regtype[]::oid[]))
         and not exists (select from pg_catalog.pg_collation c
                          where c.oid = a.attcollation and not c.collisdeterministic) as plain
    from pg_catalog.pg_attribute a
   where a.attrelid = $1::text::regclass and a.attnum > 0 and not a.attisdropped`;

const readUniquesSql = /* sql */ `
  select i.indisunique as unique, not i.indimmediate as deferrable, i.indnullsnotdistinct as nulls_equal,
         i.indpred is not null or i.indexprs is not null as special,
         pg_catalog.pg_get_expr(i.indpred, i.indrelid) as predicate,
         array(select pg_catalog.pg_get_indexdef(i.indexrelid, n, false)
                 from generate_series(1, i.indnkeyatts) n order by n)::text[] as expressions,
         array(select a.attname from pg_catalog.pg_attribute a
                where a.attrelid = i.indrelid and a.attnum > 0
                  and (a.attnum = any (i.indkey::int2[])
                       or exists (select from pg_catalog.pg_depend d
                                   where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = i.indexrelid
                                     and d.refobjid = i.indrelid and d.refobjsubid = a.attnum))
                order by a.attnum)::text[] as used,
         array(select a.attname from unnest(i.indkey::int2[]) with ordinality k(attnum, n)
                 join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
                where k.n <= i.indnkeyatts order by k.n)::text[] as columns
    from pg_catalog.pg_index i
   where i.indrelid = $1::text::regclass and (i.indisunique or i.indisexclusion) and i.indisvalid`;

const readKindSql = /* sql */ `
  select c.relkind as kind, c.relhasrules as rules,
         c.relhasrules
         or exists (select from pg_catalog.pg_trigger t
                     where (t.tgrelid = c.oid or t.tgrelid in (select relid from pg_partition_tree(c.oid)))
                       and t.tgenabled in ('O', 'R') and t.tgfoid <> 'pg_catalog.unique_key_recheck'::regproc) as triggers
    from pg_catalog.pg_class c where c.oid = to_regclass($1)`;

type ColumnRow = {
  name: string;
  type: string;
  identity: string;
  generated: boolean;
  literal: boolean;
  plain: boolean;
};

/**
 * Reads what apply must know of a destination table, for a relation of the source with the given key columns; the task's
 * objects give its names here. Throws `relation-unknown` and `column-missing` with the name.
 */
export async function readApplyTable(
  client: Queryable,
  source: Relation,
  sourceKey: readonly string[],
  { place, isPartial }: TaskObjects,
): Promise<ApplyTable> {
  const relation = place(source);
  const placed = new Map(source.columns.map((c, i) => [c.name, relation.columns[i]!.name]));
  const key = sourceKey.map((column) => placed.get(column) ?? column);
  const sql = qualified(relation.schema, relation.name);
  const name = `${relation.schema}.${relation.name}`;
  const there = await client.query<{ kind: string; rules: boolean; triggers: boolean }>(readKindSql, [sql]);
  if (there.rows.length === 0)
    throw new PgtwinError('relation-unknown', {
      detail: `Table ${name} does not exist on the destination.`,
      table: name,
    });
  const columns = await client.query<ColumnRow>(readColumnsSql, [sql]);
  const byName = new Map(columns.rows.map((c) => [c.name, c]));
  const indexOf = new Map(relation.columns.map((c, i) => [c.name, i]));
  const types = relation.columns.map(({ name: column }): ColumnType => {
    const found = byName.get(column);
    if (!found)
      throw new PgtwinError('column-missing', {
        detail: `Column ${name}.${column} does not exist on the destination.`,
        table: name,
        column,
      });
    return { cast: found.type, literal: found.literal, plain: found.plain };
  });
  const indexes = await client.query<{
    unique: boolean;
    deferrable: boolean;
    nulls_equal: boolean;
    special: boolean;
    predicate: string | null;
    expressions: string[];
    used: string[];
    columns: string[];
  }>(readUniquesSql, [sql]);
  // With `d` and `i` an old tuple has the columns of the identity only.
  const needed = relation.identity === 'd' || relation.identity === 'i';
  const keyIndexes = key.map((column) => {
    const index = indexOf.get(column);
    if (index !== undefined && needed && !relation.columns[index]!.inKey)
      throw new PgtwinError('no-replica-identity', {
        detail: `The replica identity of ${name} was changed: column ${column} is no longer part of it.`,
        table: name,
      });
    if (index === undefined)
      throw new PgtwinError('column-missing', {
        detail: `Key column ${name}.${column} is not in the stream.`,
        table: name,
      });
    return index;
  });
  const names = relation.columns.map((c) => c.name);
  const isKey = (list: readonly string[]) => list.length === key.length && list.every((c) => key.includes(c));
  const uniques: Unique[] = [];
  const deferrable: Unique[] = [];
  const special = new Map<Unique, SpecialUnique>();
  for (const i of indexes.rows) {
    const compared = i.special ? i.used : i.columns;
    if (!i.unique || (!i.special && isKey(i.columns)) || !compared.every((c) => indexOf.has(c))) continue;
    // Equal values of all columns that are used say nothing of NULLs: whether they collide is read.
    const unique = {
      columns: compared.map((c) => indexOf.get(c)!),
      nullsEqual: i.special || i.nulls_equal,
    };
    uniques.push(unique);
    if (i.deferrable) deferrable.push(unique);
    const { expressions, predicate, nulls_equal: nullsEqual } = i;
    if (i.special) special.set(unique, { expressions, predicate, nullsEqual });
  }
  const always = names.flatMap((c, i) => (byName.get(c)?.identity === 'a' ? [i] : []));
  const fixed = always.filter((i) => !keyIndexes.includes(i));
  const deferrableUnique = indexes.rows.some((i) => i.deferrable);
  return {
    relation,
    source,
    partial: isPartial(source),
    columnsHere: columns.rows.flatMap((c) => (c.generated ? [] : [c.name])),
    sql,
    target: there.rows[0]!.kind === 'r' ? `only ${sql}` : sql,
    columns: names,
    types,
    key: keyIndexes,
    notUpdatable: new Set(always),
    fixed,
    deferrableUnique,
    hasTriggers: there.rows[0]!.triggers,
    hasRules: there.rows[0]!.rules,
    inSets: keyIndexes.every((i) => types[i]!.plain) && fixed.length === 0 && !deferrableUnique,
    uniques,
    special,
    deferrable,
    table: { name, columns: names, key: keyIndexes, uniques },
    immediate: {
      name,
      columns: names,
      key: keyIndexes,
      uniques: uniques.filter((unique) => !deferrable.includes(unique)),
    },
  };
}

const readRelationSql = /* sql */ `
  select c.oid::int8 as oid,
         array(select a.attname from pg_catalog.pg_attribute a
                where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
                order by a.attnum)::text[] as columns
    from pg_catalog.pg_class c where c.oid = to_regclass($1)`;

/**
 * A table of the task as a relation, for control rows, which only name their table: under the source's names, without
 * the columns that are not here. Undefined if it is not here.
 */
export async function readRelationHere(
  client: Queryable,
  source: PreparedTable,
  { place }: TaskObjects,
): Promise<Relation | undefined> {
  // As with FULL: which columns are the key is for the task to say.
  const relation = { oid: 0, schema: source.schema, name: source.name, identity: 'f' };
  const { schema, name } = place({ ...relation, columns: [] });
  const { rows } = await client.query(readRelationSql, [qualified(schema, name)]);
  const row = rows[0] as { oid: bigint; columns: string[] } | undefined;
  if (!row) return undefined;
  const columnsOf = (names: readonly string[]) =>
    names.map((column) => ({ name: column, typeOid: 0, inKey: false }));
  // A task that gives columns other names has stored which they are.
  const all = { ...relation, oid: Number(row.oid), columns: columnsOf(source.columns ?? row.columns) };
  const placed = place(all);
  return { ...all, columns: all.columns.filter((_, i) => row.columns.includes(placed.columns[i]!.name)) };
}

/** `"a", "b"` of the columns with these indexes. */
export const columnList = (table: ApplyTable, indexes: readonly number[], prefix = ''): string =>
  indexes.map((i) => `${prefix}${ident(table.columns[i]!)}`).join(', ');
