import { PgtwinError } from '../errors/pgtwin-error.ts';
import { qualified } from '../postgres/ident.ts';
import { type Queryable, readRows } from '../postgres/rows.ts';
import type { Side, TableName } from '../task/schema.ts';
import type { TwinName } from './twin.ts';

/** A column of a table as one side has it. */
export type SideColumn = {
  readonly name: string;
  /** As a cast takes it, without length. */
  readonly type: string;
  /** GENERATED ALWAYS AS IDENTITY. */
  readonly always: boolean;
  /**
   * What decides how its values are ordered, as text that is the same exactly if two servers order alike: the base
   * type, for text with the collation and its version, for an enum with its labels. Null: not known.
   */
  readonly order: string | null;
  /** Numerics are equal though they print differently (1.0, 1.00). */
  readonly numeric: boolean;
};

/** A table of one side, with the columns that both sides have, in the same order on both. */
export type SideTable = {
  readonly name: TableName;
  readonly sql: string;
  /** What statements name: with ONLY, for rows of tables that inherit from it are not its own. */
  readonly from: string;
  readonly columns: readonly SideColumn[];
  /** Indexes of the key's columns. */
  readonly key: readonly number[];
  /** True for a key column whose own order is the other side's too: then its index serves ranges. */
  readonly native: readonly boolean[];
  /** A deferrable unique constraint: not checked under the role of replicas. */
  readonly deferrable: boolean;
};

/** A table on both sides, ready to be compared. */
export type TwinTable = TwinName & {
  readonly a: SideTable;
  readonly b: SideTable;
  /** What is not compared, or costs more, for a person. */
  readonly notes: readonly string[];
};

const portable = /* sql */ `('int2', 'int4', 'int8', 'numeric', 'float4', 'float8', 'oid', 'bool', 'uuid', 'bytea',
  'date', 'time', 'timetz', 'timestamp', 'timestamptz', 'interval', 'inet', 'cidr', 'macaddr', 'macaddr8', 'bit',
  'varbit', 'char')`;

// The order of a collation is known if its version is, or if it is that of bytes or code points.
const collationOf = (provider: string, locale: string, version: string): string => /* sql */ `
  case when ${provider} = 'b' or ${locale} in ('C', 'POSIX') or ${locale} ~* '^C[.]' or ${version} is not null
    then concat_ws(' ', ${provider}, ${locale}, ${version}) end`;

const tableSql = /* sql */ `
with recursive t as (
  select c.oid, c.relkind from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p')
), base (attnum, oid) as (
  select a.attnum, a.atttypid from t join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
  union all
  select b.attnum, y.typbasetype from base b join pg_type y on y.oid = b.oid where y.typbasetype <> 0
)
select t.relkind = 'p' as partitioned,
  exists (select from pg_index i where i.indrelid = t.oid and (i.indisunique or i.indisexclusion) and not i.indimmediate)
    as deferrable,
  (select coalesce(jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, -1),
     'generated', a.attgenerated <> '', 'always', a.attidentity = 'a',
     'numeric', y.typname = 'numeric' and y.typnamespace = 'pg_catalog'::regnamespace,
     'order', case
       when y.typtype = 'e' then
         (select 'enum ' || jsonb_agg(e.enumlabel order by e.enumsortorder)::text from pg_enum e where e.enumtypid = y.oid)
       when y.typnamespace <> 'pg_catalog'::regnamespace then null
       when y.typname in ${portable} then y.typname
       when y.typname in ('text', 'varchar', 'bpchar') then y.typname || ' ' || l.identity end)
     order by a.attnum), '[]')
   from pg_attribute a
   join pg_type y on y.oid = (select b.oid from base b join pg_type p on p.oid = b.oid
                               where b.attnum = a.attnum and p.typbasetype = 0)
   left join lateral (
     select case when c.oid = 100 then
         (select ${collationOf(
           'd.datlocprovider::text',
           `coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', d.datcollate)`,
           'pg_database_collation_actual_version(d.oid)',
         )} from pg_database d where d.datname = current_database())
       else ${collationOf(
         'c.collprovider::text',
         `coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale', c.collcollate)`,
         'pg_collation_actual_version(c.oid)',
       )} end as identity
     from pg_collation c where c.oid = a.attcollation) l on true
   where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped) as columns
from t`;

type Read = {
  readonly partitioned: boolean;
  readonly deferrable: boolean;
  readonly columns: readonly (SideColumn & { readonly generated: boolean })[];
};

async function readTable(client: Queryable, side: Side, name: TableName): Promise<Read> {
  const [found] = await readRows<Read>(client, tableSql, [name.schema, name.name]);
  if (found) return found;
  throw new PgtwinError('relation-unknown', {
    detail: `Table ${name.schema}.${name.name} does not exist on side ${side}.`,
  });
}

/** Reads what is needed of a table on both sides. Throws `relation-unknown` and `column-missing` with the name. */
export async function readTwinTable(
  clients: Readonly<Record<Side, Queryable>>,
  twin: TwinName,
): Promise<TwinTable> {
  const [a, b] = await Promise.all([
    readTable(clients.a, 'a', twin.names.a),
    readTable(clients.b, 'b', twin.names.b),
  ]);
  // Generated columns are not synchronized: each side makes its own.
  const stored = (read: Read) => new Map(read.columns.filter((c) => !c.generated).map((c) => [c.name, c]));
  const [inA, allOfB] = [stored(a), stored(b)];
  const paired = twin.pairUp([...inA.keys()], [...allOfB.keys()]);
  // By the names of side a, as everything that both sides are compared by.
  const inB = new Map([...paired].map(([name, there]) => [name, allOfB.get(there)!]));
  const shared = [...inB.keys()];
  const native = twin.key.a.map((name, n) => {
    const [one, other] = [inA.get(name)?.order, allOfB.get(twin.key.b[n]!)?.order];
    return typeof one === 'string' && one === other;
  });
  const sideOf = (side: Side, read: Read, columns: ReadonlyMap<string, SideColumn>): SideTable => {
    const name = twin.names[side];
    const sql = qualified(name.schema, name.name);
    return {
      name,
      sql,
      from: read.partitioned ? sql : `only ${sql}`,
      columns: shared.map((column) => columns.get(column)!),
      key: twin.key.a.map((column) => keyIndex(shared, column, side, name)),
      native,
      deferrable: read.deferrable,
    };
  };
  return {
    ...twin,
    a: sideOf('a', a, inA),
    b: sideOf('b', b, inB),
    notes: notesOf(inA, allOfB, paired, native),
  };
}

function keyIndex(shared: readonly string[], column: string, side: Side, name: TableName): number {
  const index = shared.indexOf(column);
  if (index >= 0) return index;
  throw new PgtwinError('column-missing', {
    detail: `Key column ${column} of ${name.schema}.${name.name} is not on both sides (side ${side}).`,
  });
}

function notesOf(
  a: ReadonlyMap<string, unknown>,
  b: ReadonlyMap<string, unknown>,
  paired: ReadonlyMap<string, string>,
  native: readonly boolean[],
): string[] {
  const there = new Set(paired.values());
  const only = (side: Side, names: readonly string[]) =>
    names.length === 0
      ? []
      : [`Not compared, only on side ${side} or not synchronized: ${names.join(', ')}.`];
  return [
    ...only(
      'a',
      [...a.keys()].filter((name) => !paired.has(name)),
    ),
    ...only(
      'b',
      [...b.keys()].filter((name) => !there.has(name)),
    ),
    ...(native.every(Boolean)
      ? []
      : ['The two servers may order its key differently: every range reads the whole table.']),
  ];
}
