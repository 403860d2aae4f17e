import { ident, qualified } from '../../../../shared/postgres/ident.ts';
import { originName } from '../../../../shared/postgres/names.ts';
import type { TableName } from '../../../../shared/task/schema.ts';
import { keyOfTable } from '../../../../shared/task/selection.ts';
import { alert, type Check, count, failed, fixOn, nameOf, passed } from '../check.ts';
import type { CheckedDatabase } from '../database.ts';

const replicationSql = /* sql */ `
select r.rolsuper or r.rolreplication or exists (
  select from pg_roles m where m.rolname in ('rds_replication', 'rds_superuser', 'azure_pg_admin')
    and pg_has_role(current_user, m.oid, 'member')) as allowed
from pg_roles r where r.rolname = current_user`;

export const replicationPrivilege: Check = {
  item: 'replication-privilege',
  title: 'The account may replicate from the source',
  run: async ({ source }) => {
    const { user } = source.target;
    const [row] = await source.rows<{ allowed: boolean }>(replicationSql);
    return row?.allowed
      ? passed('The account has the attribute REPLICATION, or its like.')
      : failed(`The account ${user} may not open a replication connection.`, {
          fix: [fixOn('source', /* sql */ `alter role ${ident(user)} replication;`)],
          details: ['On Amazon RDS: grant rds_replication to the account.'],
        });
  },
};

/** What the account may do with each of the tables that are there. */
type TableRights = TableName & {
  readonly owner: string;
  readonly owns: boolean;
  readonly schemaUsage: boolean;
  readonly select: boolean;
  readonly missing: readonly string[];
};

const rightsSql = /* sql */ `
select n.nspname as schema, c.relname as name, pg_get_userbyid(c.relowner) as owner,
  pg_has_role(c.relowner, 'usage') as owns, has_schema_privilege(n.oid, 'usage') as "schemaUsage",
  has_table_privilege(c.oid, 'select') as select,
  array(select p from unnest($3::text[]) p where not has_table_privilege(c.oid, p)) as missing
from unnest($1::text[], $2::text[]) asked (schema, name)
join pg_namespace n on n.nspname = asked.schema
join pg_class c on c.relnamespace = n.oid and c.relname = asked.name and c.relkind in ('r', 'p')
order by 1, 2`;

const readRights = (of: CheckedDatabase, tables: readonly TableName[], needed: readonly string[] = []) =>
  of.rows<TableRights>(rightsSql, [tables.map((t) => t.schema), tables.map((t) => t.name), needed]);

const mayCreateSql = /* sql */ `
select has_database_privilege(current_database(), 'create') as create`;
const mayCreate = async (of: CheckedDatabase): Promise<boolean> =>
  (await of.rows<{ create: boolean }>(mayCreateSql))[0]!.create;
const grantCreate = (of: CheckedDatabase) =>
  fixOn(of.role, `grant create on database ${ident(of.target.database)} to ${ident(of.target.user)};`);

export const publicationPrivilege: Check = {
  item: 'publication-privilege',
  title: 'The account may publish the tables of the source',
  run: async ({ source, tables }) => {
    const create = await mayCreate(source);
    const foreign = (await readRights(source, tables)).filter(({ owns }) => !owns);
    if (create && foreign.length === 0)
      return passed('The account may create publications, and owns the tables.');
    const user = ident(source.target.user);
    const owners = [...new Set(foreign.map(({ owner }) => owner))];
    return failed('A publication needs CREATE on the database, and ownership of its tables.', {
      fix: [
        ...(create ? [] : [grantCreate(source)]),
        ...owners.map((owner) => fixOn('source', `grant ${ident(owner)} to ${user};`)),
      ],
      details: foreign.map((table) => `${nameOf(table)} belongs to ${table.owner}`),
    });
  },
};

export const sourcePrivileges: Check = {
  item: 'source-privileges',
  title: 'The account may read the tables of the source',
  run: async ({ source, tables }) => {
    const refused = (await readRights(source, tables)).filter((table) => !table.schemaUsage || !table.select);
    if (refused.length === 0) return passed(`The account may read ${count(tables.length, 'table')}.`);
    const user = ident(source.target.user);
    const schemas = [...new Set(refused.filter((t) => !t.schemaUsage).map(({ schema }) => schema))];
    return failed(`The account may not read ${count(refused.length, 'table')}.`, {
      fix: [
        ...schemas.map((schema) => fixOn('source', `grant usage on schema ${ident(schema)} to ${user};`)),
        ...refused
          .filter((table) => !table.select)
          .map(({ schema, name }) =>
            fixOn('source', `grant select on ${qualified(schema, name)} to ${user};`),
          ),
      ],
      details: refused.map(nameOf),
    });
  },
};

const helperSql = /* sql */ `
select n.nspname is not null as there, coalesce(pg_has_role(n.nspowner, 'usage'), false) as owns,
  pg_get_userbyid(n.nspowner) as owner
from (select 1) one left join pg_namespace n on n.nspname = 'pgtwin'`;

export const helperSchema: Check = {
  item: 'helper-schema',
  title: 'The account may make schema pgtwin in both databases',
  run: async ({ source, destination }) => {
    const fix = [];
    const details = [];
    for (const each of [source, destination]) {
      const [row] = await each.rows<{ there: boolean; owns: boolean; owner: string }>(helperSql);
      if (row?.there ? row.owns : await mayCreate(each)) continue;
      const { user } = each.target;
      fix.push(
        row?.there ? fixOn(each.role, `grant ${ident(row.owner)} to ${ident(user)};`) : grantCreate(each),
      );
      details.push(
        row?.there
          ? `${each.role}: schema pgtwin belongs to ${row.owner}`
          : `${each.role}: no CREATE on database ${each.target.database}`,
      );
    }
    return fix.length === 0
      ? passed('Schema pgtwin can be made, or is there.')
      : failed('Schema pgtwin, where progress and heartbeat are kept, can not be made.', { fix, details });
  },
};

const schemasSql = /* sql */ `
select n.nspname as schema, has_schema_privilege(n.oid, 'create') as create
from pg_namespace n where n.nspname = any ($1::text[])`;

export const destinationCreate: Check = {
  item: 'destination-create',
  title: 'The account may create the tables on the destination',
  run: async ({ destination, tables, there, onDestination, config }) => {
    const absent = tables.filter((table) => !onDestination.has(keyOfTable(table))).map(there);
    if (!config.types.schema || absent.length === 0) return passed('There is nothing to create.');
    const wanted = [...new Set(absent.map(({ schema }) => schema))];
    const found = await destination.rows<{ schema: string; create: boolean }>(schemasSql, [wanted]);
    const closed = found.filter(({ create }) => !create);
    const lacking = wanted.filter((schema) => !found.some((each) => each.schema === schema));
    const needsDatabase = lacking.length > 0 && !(await mayCreate(destination));
    if (closed.length === 0 && !needsDatabase)
      return passed(`The account may create ${count(absent.length, 'table')}.`);
    const user = ident(destination.target.user);
    return failed('The account may not create all tables.', {
      fix: [
        ...(needsDatabase ? [grantCreate(destination)] : []),
        ...closed.map(({ schema }) =>
          fixOn('destination', `grant usage, create on schema ${ident(schema)} to ${user};`),
        ),
      ],
      details: [
        ...closed.map(({ schema }) => `schema ${schema}: no CREATE`),
        ...(needsDatabase
          ? lacking.map((schema) => `schema ${schema} does not exist and can not be made`)
          : []),
      ],
    });
  },
};

export const destinationWrite: Check = {
  item: 'destination-write',
  title: 'The account may write to the tables of the destination',
  run: async ({ destination, onDestination, config }) => {
    const { insert, update, delete: remove, truncate } = config.operations;
    // Conflicts turn one operation into another, so that reading, inserting, updating and deleting go together.
    const needed = ['select', 'insert', 'update', 'delete', ...(truncate ? ['truncate'] : [])];
    // Deletions by users are noted by a trigger.
    if ([config, ...config.tablePolicies].some((each) => each.onDeleted === 'by-time'))
      needed.push('trigger');
    if (!insert && !update && !remove && !truncate) return passed('Nothing is written.');
    const tables = [...onDestination.values()];
    const rights = await readRights(destination, tables, needed);
    const refused = rights.filter((table) => table.missing.length > 0 || !table.schemaUsage);
    if (refused.length === 0)
      return passed(`The account may write to ${count(tables.length, 'existing table')}.`);
    const user = ident(destination.target.user);
    const schemas = [...new Set(refused.filter((t) => !t.schemaUsage).map(({ schema }) => schema))];
    return failed(`The account may not write to ${count(refused.length, 'table')}.`, {
      fix: [
        ...schemas.map((schema) =>
          fixOn('destination', `grant usage on schema ${ident(schema)} to ${user};`),
        ),
        ...refused
          .filter(({ missing }) => missing.length > 0)
          .map(({ schema, name, missing }) =>
            fixOn('destination', `grant ${missing.join(', ')} on ${qualified(schema, name)} to ${user};`),
          ),
      ],
      details: refused.map(
        (table) =>
          `${nameOf(table)}: no ${[...table.missing, ...(table.schemaUsage ? [] : ['usage of the schema'])].join(', ')}`,
      ),
    });
  },
};

export const replicaRole: Check = {
  item: 'replica-role',
  title: 'The account may set session_replication_role on the destination',
  run: async ({ destination }) => {
    const sql = /* sql */ `select has_parameter_privilege('session_replication_role', 'set') as allowed`;
    const [row] = await destination.rows<{ allowed: boolean }>(sql);
    return row?.allowed
      ? passed('Triggers and foreign keys of the destination do not fire for synchronized rows.')
      : alert(
          'Triggers and foreign keys of the destination fire for every synchronized row, a second time.',
          {
            fix: [
              fixOn(
                'destination',
                `grant set on parameter session_replication_role to ${ident(destination.target.user)};`,
              ),
            ],
          },
        );
  },
};

const originFunctions = [
  'pg_replication_origin_create',
  'pg_replication_origin_drop',
  'pg_replication_origin_oid',
  'pg_replication_origin_session_setup',
  'pg_replication_origin_session_reset',
  'pg_replication_origin_session_is_setup',
  'pg_replication_origin_xact_setup',
  'pg_replication_origin_xact_reset',
];
const originsSql = /* sql */ `
select array(
    select p.oid::regprocedure::text from pg_proc p
    where p.pronamespace = 'pg_catalog'::regnamespace and p.proname = any ($1::text[])
      and not has_function_privilege(p.oid, 'execute') order by 1) as refused,
  coalesce(current_setting('max_active_replication_origins', true), current_setting('max_replication_slots'))::int as most,
  (select count(*) from pg_replication_origin where roname <> all ($2::text[]))::int as used,
  case when current_setting('max_active_replication_origins', true) is null
    then 'max_replication_slots' else 'max_active_replication_origins' end as setting`;
type Origins = { refused: string[]; most: number; used: number; setting: string };

export const replicationOrigins: Check = {
  item: 'replication-origins',
  title: 'The account may use replication origins on the destination',
  run: async ({ destination, pair, task }) => {
    // Shards are applied side by side, each under an origin of its own.
    const own = Array.from({ length: pair.shards }, (_, shard) => originName(task.id, shard));
    const [found] = await destination.rows<Origins>(originsSql, [originFunctions, own]);
    const { refused, most, used, setting } = found!;
    const details = [`${used} of ${most} origins used, ${own.length} needed`];
    const full = used + own.length > most;
    if (refused.length === 0 && !full)
      return passed(
        'Synchronized rows carry an origin: the server itself keeps them from going back.',
        details,
      );
    const user = ident(destination.target.user);
    return alert(
      refused.length > 0
        ? 'Synchronized rows carry no origin: they are decoded and read once more before pgtwin drops them.'
        : 'Too few origins are free: synchronized rows are decoded and read once more before pgtwin drops them.',
      {
        fix: [
          ...refused.map((signature) =>
            fixOn('destination', `grant execute on function pg_catalog.${signature} to ${user};`),
          ),
          ...(full
            ? [
                fixOn(
                  'destination',
                  `alter system set ${setting} = ${Math.max(most, used + own.length) + 10};`,
                ),
              ]
            : []),
        ],
        details: full ? [...details, 'The server must be restarted after it.'] : details,
      },
    );
  },
};
