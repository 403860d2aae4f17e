import type { Queryable } from '../../shared/postgres/connect.ts';
import { ident, literal, qualified } from '../../shared/postgres/ident.ts';
import { controlPublicationName, publicationName } from '../../shared/postgres/names.ts';
import { conditionSql } from '../../shared/task/condition-sql.ts';
import { oppositeTask, type PreparedTable, type TableName } from '../../shared/task/schema.ts';

/**
 * A table of a publication; `of` restricts rows to those of one task (tables of schema pgtwin only), `columns` says
 * which columns are published, `where` which rows.
 */
type Member = TableName & {
  readonly of?: string;
  readonly columns?: readonly string[] | undefined;
  readonly where?: string | undefined;
};

const ofTask = (name: string, task: string): Member => ({ schema: 'pgtwin', name, of: task });

/**
 * What a task's stream carries: its tables, its heartbeat, and from the opposite task's apply and copy the marks by
 * which its transactions are known. The filters use key columns only, since updates are published.
 */
const dataMembers = (task: string, tables: readonly Published[]): Member[] => [
  ...tables.map(({ schema, name, publish }) => ({
    ...{ schema, name, columns: publish?.columns, where: publish?.where },
  })),
  ofTask('heartbeat', task),
  ofTask('apply_progress', oppositeTask(task)),
  ofTask('copy_chunk', oppositeTask(task)),
];

/** Rows of the conflict protocol that this side sends travel in the task whose source this side is. */
const controlMembers = (task: string): Member[] =>
  ['pull', 'answer', 'outcome'].map((name) => ofTask(name, task));

/** A table, and what of it is published. */
export type Published = TableName & Pick<PreparedTable, 'publish'>;

type Options = { readonly operations: string; readonly viaRoot: boolean };
const ALL_OPERATIONS = 'insert, update, delete, truncate';

/**
 * Makes the publications of a task, or brings them to the wanted tables. True: tables were added to one that was
 * there. Must be committed before the slot is made, so `client` must be in no transaction.
 *
 * Rows of partitions go out under their root's name: what is selected is the root, partitions that come later are
 * published at once, and the destination may be partitioned in another way, or not at all. The price: a TRUNCATE of
 * one partition is not published (manual, CREATE PUBLICATION), only one of the root.
 */
export async function ensurePublications(
  client: Queryable,
  task: string,
  tables: readonly Published[],
): Promise<boolean> {
  const added = await ensure(client, publicationName(task), dataMembers(task, tables), {
    operations: ALL_OPERATIONS,
    viaRoot: true,
  });
  await ensure(client, controlPublicationName(task), controlMembers(task), {
    operations: 'insert',
    viaRoot: false,
  });
  return added;
}

async function ensure(
  client: Queryable,
  name: string,
  members: readonly Member[],
  { operations, viaRoot }: Options,
): Promise<boolean> {
  // ONLY: exactly the named tables, not those that inherit from them (it says nothing about partitions).
  const list = members
    .map((m) => `only ${qualified(m.schema, m.name)}${columnsOf(m)}${filter(m)}`)
    .join(', ');
  const options = `publish = ${literal(operations)}, publish_via_partition_root = ${viaRoot}`;
  const there = await readMembers(client, name);
  if (!there) {
    await client.query(/* sql */ `create publication ${ident(name)} for table ${list} with (${options})`);
    return false;
  }
  await client.query(/* sql */ `alter publication ${ident(name)} set (${options})`);
  const wanted = new Set(members.map(memberKey));
  const present = new Set(there.map(memberKey));
  const added = [...wanted].some((key) => !present.has(key));
  // The server prints a condition in its own words: whether it is the same can't be told from them.
  const filtered = members.some((m) => m.where !== undefined);
  if (added || filtered || present.size !== wanted.size)
    await client.query(/* sql */ `alter publication ${ident(name)} set table ${list}`);
  return added;
}

const columnsOf = ({ columns }: Member): string => (columns ? ` (${columns.map(ident).join(', ')})` : '');
const filter = ({ of, where }: Member): string => {
  if (where !== undefined) return ` where ${conditionSql(where)}`;
  return of === undefined ? '' : ` where (task = ${literal(of)})`;
};
/** Task ids are of [a-z0-9_]: the text is the one that the server prints. */
const memberKey = ({ schema, name, of, columns }: Member): string =>
  JSON.stringify([schema, name, of, columns?.toSorted()]);

const membersSql = /* sql */ `
  select n.nspname as schema, c.relname as name, pg_get_expr(r.prqual, r.prrelid) as filter,
         case when r.prattrs is not null then
           array(select a.attname from pg_attribute a where a.attrelid = r.prrelid and a.attnum = any (r.prattrs::int2[]))::text[]
         end as columns
    from pg_publication p
    left join pg_publication_rel r on r.prpubid = p.oid
    left join pg_class c on c.oid = r.prrelid
    left join pg_namespace n on n.oid = c.relnamespace
   where p.pubname = $1`;

async function readMembers(client: Queryable, name: string): Promise<Member[] | undefined> {
  type Row = { schema: string | null; name: string; filter: string | null; columns: string[] | null };
  const { rows } = await client.query<Row>(membersSql, [name]);
  if (rows.length === 0) return undefined;
  return rows.flatMap((row) => {
    if (row.schema === null) return [];
    const columns = row.columns === null ? {} : { columns: row.columns };
    if (row.filter === null) return [{ schema: row.schema, name: row.name, ...columns }];
    const of = /^\(task = '([a-z0-9_]+)'::text\)$/.exec(row.filter)?.[1];
    return [{ schema: row.schema, name: row.name, ...(of === undefined ? {} : { of }), ...columns }];
  });
}
