import { literal, qualified } from './ident.ts';
import { type Queryable, readRows } from './rows.ts';

/** Catalogue queries for whole lists of tables and sequences: one query each, however long the list. */

export type TableName = { readonly schema: string; readonly name: string };
export type TableKind = 'ordinary' | 'partitioned' | 'foreign';
export type Persistence = 'permanent' | 'unlogged' | 'temporary';

export type ListedTable = TableName & {
  readonly kind: TableKind;
  readonly persistence: Persistence;
  /** The partitioned table that this is a partition of. */
  readonly partitionOf: TableName | null;
  /** Made by an extension. */
  readonly extension: boolean;
};

export type UniqueKey = {
  readonly name: string;
  readonly primary: boolean;
  /** The key columns in order; null stands for an expression. */
  readonly columns: readonly (string | null)[];
  readonly deferrable: boolean;
  readonly partial: boolean;
  readonly expression: boolean;
  readonly nullsNotDistinct: boolean;
  /** No key column can be null. */
  readonly notNull: boolean;
  readonly valid: boolean;
  /** WITHOUT OVERLAPS (18): equal rows are not told by `=` on all columns. */
  readonly withoutOverlaps: boolean;
  /** Can name one row: plain columns, not null, immediate, whole table. */
  readonly usable: boolean;
};

export type KeyColumn = {
  readonly name: string;
  readonly type: string;
  readonly notNull: boolean;
  readonly generated: 'stored' | 'virtual' | null;
  readonly identity: 'always' | 'by default' | null;
};

export type ReplicaKeys = TableName & {
  readonly oid: number;
  readonly kind: TableKind;
  readonly persistence: Persistence;
  readonly partition: boolean;
  readonly replicaIdentity: 'default' | 'nothing' | 'full' | 'index';
  readonly primaryKey: readonly string[] | null;
  /**
   * The columns that name a row in the stream: of the primary key, of the replica identity's index, or with FULL of
   * the primary key or else the first usable unique key. Null: UPDATE and DELETE can not be followed.
   */
  readonly identityColumns: readonly string[] | null;
  readonly uniqueKeys: readonly UniqueKey[];
  readonly rowSecurity: boolean;
  readonly forceRowSecurity: boolean;
  /** Row security applies to the account that asks: it is on, and the account is no owner and may not bypass it. */
  readonly rowSecurityActive: boolean;
  readonly columns: readonly KeyColumn[];
  /** The planner's estimate, scaled to the size of today; partitions added up. */
  readonly estimatedRows: number;
  /** With TOAST, without indexes; partitions added up. */
  readonly sizeBytes: number;
};

const kindOf = (column: string) =>
  /* sql */ `case ${column} when 'r' then 'ordinary' when 'p' then 'partitioned' else 'foreign' end`;
const persistenceOf = (column: string) =>
  /* sql */ `case ${column} when 'p' then 'permanent' when 'u' then 'unlogged' else 'temporary' end`;

const listTablesSql = /* sql */ `
select n.nspname as schema, c.relname as name, ${kindOf('c.relkind')} as kind,
  ${persistenceOf('c.relpersistence')} as persistence,
  case when c.relispartition then (
    select jsonb_build_object('schema', pn.nspname, 'name', p.relname)
    from pg_inherits i join pg_class p on p.oid = i.inhparent join pg_namespace pn on pn.oid = p.relnamespace
    where i.inhrelid = c.oid) end as "partitionOf",
  exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
    as extension
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'f') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'pgtwin')
  and n.nspname !~ '^pg_(toast_)?temp_'
order by n.nspname collate "C", c.relname collate "C"`;

/** All user tables of the database; a partition names its table, so that nothing is counted twice. */
export const listTables = (source: Queryable): Promise<ListedTable[]> => readRows(source, listTablesSql);

// indkey has the INCLUDE columns as well: indnkeyatts cuts them off. A primary key WITHOUT OVERLAPS is no btree.
const replicaKeysSql = /* sql */ `
with asked as (select * from unnest($1::text[], $2::text[]) with ordinality t (schema, name, position))
select n.nspname as schema, c.relname as name, c.oid::int8 as oid, ${kindOf('c.relkind')} as kind,
  ${persistenceOf('c.relpersistence')} as persistence, c.relispartition as partition,
  case c.relreplident when 'd' then 'default' when 'n' then 'nothing' when 'f' then 'full' else 'index' end
    as "replicaIdentity",
  (select i.indexrelid::regclass::text from pg_index i where i.indrelid = c.oid and i.indisreplident) as "identityIndex",
  coalesce(keys.list, '[]') as "uniqueKeys", columns.list as columns,
  c.relrowsecurity as "rowSecurity", c.relforcerowsecurity as "forceRowSecurity",
  row_security_active(c.oid) as "rowSecurityActive",
  coalesce(size.rows, 0) as "estimatedRows", coalesce(size.bytes, 0) as "sizeBytes"
from asked
join pg_namespace n on n.nspname = asked.schema
join pg_class c on c.relnamespace = n.oid and c.relname = asked.name and c.relkind in ('r', 'p', 'f')
left join lateral (
  select jsonb_agg(jsonb_build_object('name', ic.relname, 'primary', i.indisprimary, 'columns', k.columns,
    'deferrable', not i.indimmediate, 'partial', i.indpred is not null, 'expression', k.expression,
    'nullsNotDistinct', i.indnullsnotdistinct, 'notNull', k.not_null, 'valid', i.indisvalid and i.indisready,
    'withoutOverlaps', am.amname <> 'btree', 'replident', i.indisreplident)
    order by i.indisprimary desc, ic.relname collate "C") as list
  from pg_index i
  join pg_class ic on ic.oid = i.indexrelid
  join pg_am am on am.oid = ic.relam
  cross join lateral (
    select jsonb_agg(a.attname order by u.position) as columns, bool_or(u.number = 0) as expression,
      bool_and(coalesce(a.attnotnull, false)) as not_null
    from unnest(i.indkey::int2[]) with ordinality u (number, position)
    left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = u.number and u.number <> 0
    where u.position <= i.indnkeyatts
  ) k
  where i.indrelid = c.oid and i.indisunique
) keys on true
left join lateral (
  select coalesce(jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
    'notNull', a.attnotnull, 'generated', case a.attgenerated when 's' then 'stored' when 'v' then 'virtual' end,
    'identity', case a.attidentity when 'a' then 'always' when 'd' then 'by default' end) order by a.attnum), '[]')
    as list
  from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
) columns on true
left join lateral (
  select sum(pg_table_size(leaf.oid))::int8 as bytes, sum(case
    when leaf.relpages > 0 and leaf.reltuples >= 0
      then leaf.reltuples::float8 / leaf.relpages * (pg_relation_size(leaf.oid) / current_setting('block_size')::int8)
    when leaf.reltuples > 0 then leaf.reltuples
    -- never analyzed: rows of 100 bytes
    else pg_relation_size(leaf.oid) / 100 end)::int8 as rows
  from (
    select c.oid, c.relpages, c.reltuples where c.relkind = 'r'
    union all
    select l.oid, l.relpages, l.reltuples from pg_partition_tree(case when c.relkind = 'p' then c.oid end) t
    join pg_class l on l.oid = t.relid and l.relkind = 'r'
  ) leaf
) size on true
order by asked.position`;

type KeysRow = Omit<ReplicaKeys, 'uniqueKeys' | 'primaryKey' | 'identityColumns'> & {
  readonly uniqueKeys: readonly (Omit<UniqueKey, 'usable'> & { readonly replident: boolean })[];
  readonly identityIndex: string | null;
};

/** How the rows of each table can be named, and what the copy expects; tables that are not there are left out. */
export async function readReplicaKeys(
  source: Queryable,
  tables: readonly TableName[],
): Promise<ReplicaKeys[]> {
  const rows = await readRows<KeysRow>(source, replicaKeysSql, [
    tables.map((each) => each.schema),
    tables.map((each) => each.name),
  ]);
  return rows.map(({ uniqueKeys, identityIndex: _, ...row }) => {
    const keys = uniqueKeys.map(({ replident: __, ...key }) => ({ ...key, usable: isUsable(key) }));
    const primary = keys.find((key) => key.primary);
    const identityKey = keys[uniqueKeys.findIndex((key) => key.replident)];
    const plain = (key: UniqueKey | undefined) => (key?.usable ? (key.columns as string[]) : null);
    const identityColumns = {
      default: plain(primary),
      nothing: null,
      index: plain(identityKey),
      full: plain(primary) ?? plain(keys.find((key) => key.usable)),
    }[row.replicaIdentity];
    return {
      ...row,
      uniqueKeys: keys,
      primaryKey: (primary?.columns as string[] | undefined) ?? null,
      identityColumns,
    };
  });
}

const isUsable = (key: Omit<UniqueKey, 'usable'>): boolean =>
  key.valid && key.notNull && !key.deferrable && !key.partial && !key.expression && !key.withoutOverlaps;

export type SequencePosition = TableName & {
  /** The last value given out, null if none was. */
  readonly last: string | null;
  readonly increment: string;
};

// pg_sequence_last_value needs the privilege on each; it is null as long as nextval was never called.
const sequencePositionsSql = /* sql */ `
select n.nspname as schema, c.relname as name, pg_sequence_last_value(c.oid::regclass)::text as last,
  s.seqincrement::text as increment
from unnest($1::text[], $2::text[]) with ordinality asked (schema, name, position)
join pg_namespace n on n.nspname = asked.schema
join pg_class c on c.relnamespace = n.oid and c.relname = asked.name and c.relkind = 'S'
join pg_sequence s on s.seqrelid = c.oid
order by asked.position`;

/** Where the sequences stand, in the order asked; those that are not there are left out. */
export const sequencePositions = (
  client: Queryable,
  sequences: readonly TableName[],
): Promise<SequencePosition[]> =>
  readRows(client, sequencePositionsSql, [
    sequences.map((each) => each.schema),
    sequences.map((each) => each.name),
  ]);

const sequencesOfSql = /* sql */ `
select distinct sn.nspname as schema, s.relname as name
from unnest($1::text[], $2::text[]) asked (schema, name)
join pg_namespace n on n.nspname = asked.schema
join pg_class c on c.relnamespace = n.oid and c.relname = asked.name
join (
  select d.refobjid as relation, d.objid as sequence from pg_depend d
  where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
  union
  select a.adrelid, d.refobjid from pg_attrdef a
  join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = a.oid and d.refclassid = 'pg_class'::regclass
) used on used.relation = c.oid
join pg_class s on s.oid = used.sequence and s.relkind = 'S'
join pg_namespace sn on sn.oid = s.relnamespace
order by 1, 2`;

/** The sequences that the tables own or use: serial, identity and other defaults. */
export const sequencesOf = (client: Queryable, tables: readonly TableName[]): Promise<TableName[]> =>
  readRows(client, sequencesOfSql, [tables.map((each) => each.schema), tables.map((each) => each.name)]);

/**
 * One statement for each sequence that sets it past the source's last value, to be run on the destination and to be
 * shown. It never goes back: the destination's own value counts where it is further along. Names are the
 * destination's. A sequence that was never used on the source has no statement.
 */
export const advanceSequences = (positions: readonly SequencePosition[]): string[] =>
  positions.flatMap(({ schema, name, last, increment }) => {
    if (last === null) return [];
    const sequence = qualified(schema, name);
    const furthest = increment.startsWith('-') ? 'least' : 'greatest';
    return [
      /* sql */ `select pg_catalog.setval(${literal(sequence).trim()}::pg_catalog.regclass, ${furthest}(${literal(last)}::int8, pg_catalog.pg_sequence_last_value(${literal(sequence).trim()}::pg_catalog.regclass)), true)`,
    ];
  });
