import type { Queryable } from '../../shared/postgres/connect.ts';
import { ident, literal, qualified } from '../../shared/postgres/ident.ts';
import { controlPublicationName, publicationName } from '../../shared/postgres/names.ts';
import { oppositeTask, type TableName } from '../../shared/task/schema.ts';

/** A table of a publication; `of` restricts rows to those of one task (tables of schema pgtwin only). */
type Member = TableName & { readonly of?: string };

const ofTask = (name: string, task: string): Member => ({ schema: 'pgtwin', name, of: task });

/**
 * What a task's stream carries: its tables, its heartbeat, and from the opposite task's apply and copy the marks by
 * which its transactions are known. The filters use key columns only, since updates are published.
 */
const dataMembers = (task: string, tables: readonly TableName[]): Member[] => [
  ...tables,
  ofTask('heartbeat', task),
  ofTask('apply_progress', oppositeTask(task)),
  ofTask('copy_chunk', oppositeTask(task)),
];

/** Rows of the conflict protocol that this side sends travel in the task whose source this side is. */
const controlMembers = (task: string): Member[] =>
  ['pull', 'answer', 'outcome'].map((name) => ofTask(name, task));

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
  tables: readonly TableName[],
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
  const list = members.map((m) => `only ${qualified(m.schema, m.name)}${filter(m)}`).join(', ');
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
  if (added || present.size !== wanted.size)
    await client.query(/* sql */ `alter publication ${ident(name)} set table ${list}`);
  return added;
}

const filter = ({ of }: Member): string => (of === undefined ? '' : ` where (task = ${literal(of)})`);
/** Task ids are of [a-z0-9_]: the text is the one that the server prints. */
const memberKey = ({ schema, name, of }: Member): string => `${schema}\0${name}\0${of ?? ''}`;

const membersSql = /* sql */ `
  select n.nspname as schema, c.relname as name, pg_get_expr(r.prqual, r.prrelid) as filter
    from pg_publication p
    left join pg_publication_rel r on r.prpubid = p.oid
    left join pg_class c on c.oid = r.prrelid
    left join pg_namespace n on n.oid = c.relnamespace
   where p.pubname = $1`;

async function readMembers(client: Queryable, name: string): Promise<Member[] | undefined> {
  const { rows } = await client.query<{ schema: string | null; name: string; filter: string | null }>(
    membersSql,
    [name],
  );
  if (rows.length === 0) return undefined;
  return rows.flatMap((row) => {
    if (row.schema === null) return [];
    if (row.filter === null) return [{ schema: row.schema, name: row.name }];
    const of = /^\(task = '([a-z0-9_]+)'::text\)$/.exec(row.filter)?.[1];
    return [{ schema: row.schema, name: row.name, of: of ?? row.filter }];
  });
}
