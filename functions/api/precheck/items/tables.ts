import type { ReplicaKeys } from '../../../../shared/postgres/catalog.ts';
import { ident, qualified } from '../../../../shared/postgres/ident.ts';
import type { TableName } from '../../../../shared/task/schema.ts';
import { keyOfTable, missingNames } from '../../../../shared/task/selection.ts';
import { alert, type Check, count, failed, fixOn, nameOf, passed, rowTables } from '../check.ts';
import type { CheckedDatabase } from '../database.ts';

export const selection: Check = {
  item: 'selection',
  title: 'The selection names tables that exist',
  run: async ({ config, tables, expected, listed, limits }) => {
    const missing = missingNames(config.objects, [...listed, ...expected]);
    if (missing.length > 0)
      return failed(
        `${count(missing.length, 'selected table')} not found on the source: ${nameOf(missing[0]!)}.`,
        {
          details: [
            ...missing.map((name) => `${nameOf(name)} does not exist${similarTo(name, listed)}`),
            'Correct objects.include of the task.',
          ],
        },
      );
    const chosen = tables.length + expected.length;
    if (chosen === 0)
      return failed('The selection matches no table of the source.', {
        details: ['Correct objects.include and objects.exclude of the task.'],
      });
    if (chosen > limits.mostTables)
      return failed(
        `The selection has ${chosen} tables; at most ${limits.mostTables} are allowed in one task.`,
        {
          details: ['Divide the tables among several pairs, or exclude some.'],
        },
      );
    return passed(`${count(chosen, 'table')} selected.`);
  },
};

/** A table of the same name but for case or schema is what was meant, mostly. */
function similarTo({ schema, name }: TableName, listed: readonly TableName[]): string {
  const other =
    listed.find(
      (t) => t.schema.toLowerCase() === schema.toLowerCase() && t.name.toLowerCase() === name.toLowerCase(),
    ) ?? listed.find((t) => t.name.toLowerCase() === name.toLowerCase());
  return other ? `; ${nameOf(other)} does` : '';
}

export const replicaKeys: Check = {
  item: 'keys',
  title: 'Every table has a key that names its rows',
  run: async (context) => {
    const without = rowTables(context).filter(
      (table) =>
        table.kind === 'ordinary' && table.replicaIdentity !== 'nothing' && table.identityColumns === null,
    );
    if (without.length === 0)
      return passed('Every table has a primary key, or a unique key as replica identity.');
    return failed(`${count(without.length, 'table')} without a usable key: ${nameOf(without[0]!)}.`, {
      fix: without.filter((table) => !table.partition).map(keyFix),
      details: without.map((table) =>
        table.partition
          ? `${nameOf(table)} is a partition: give the partitioned table a primary key`
          : `${nameOf(table)}: replica identity ${table.replicaIdentity}, no usable primary key`,
      ),
    });
  },
};

/** The smallest change that gives a table a usable key. A random key, so that both sides may insert. */
function keyFix(table: ReplicaKeys): ReturnType<typeof fixOn> {
  const name = qualified(table.schema, table.name);
  const unique = table.uniqueKeys.find((key) => key.usable && !key.primary);
  if (unique)
    return fixOn('source', `alter table ${name} replica identity using index ${ident(unique.name)};`);
  const primary = table.uniqueKeys.find((key) => key.primary);
  if (primary?.deferrable && table.primaryKey) {
    const columns = table.primaryKey.map(ident).join(', ');
    return fixOn(
      'source',
      `alter table ${name} drop constraint ${ident(primary.name)}, add primary key (${columns});`,
    );
  }
  return fixOn(
    'source',
    `alter table ${name} add column pgtwin_key uuid not null default gen_random_uuid() primary key;`,
  );
}

export const replicaIdentity: Check = {
  item: 'replica-identity',
  title: 'No table has REPLICA IDENTITY NOTHING',
  run: async (context) => {
    const nothing = rowTables(context).filter((table) => table.replicaIdentity === 'nothing');
    if (nothing.length === 0) return passed('Every table logs what names its rows.');
    return failed(
      `${count(nothing.length, 'table')} with REPLICA IDENTITY NOTHING: UPDATE and DELETE would fail there.`,
      {
        fix: nothing.map(({ schema, name }) =>
          fixOn('source', `alter table ${qualified(schema, name)} replica identity default;`),
        ),
        details: nothing.map(nameOf),
      },
    );
  },
};

export const tableKinds: Check = {
  item: 'table-kinds',
  title: 'Only tables whose changes are in the WAL',
  run: async ({ tables, onDestination }) => {
    const foreign = tables.filter((table) => table.kind === 'foreign');
    const foreignThere = [...onDestination.values()].filter((table) => table.kind === 'foreign');
    const unlogged = tables.filter((table) => table.persistence === 'unlogged');
    if (foreign.length + foreignThere.length + unlogged.length === 0)
      return passed('All are ordinary, logged tables.');
    return failed('Foreign and unlogged tables have no changes in the WAL.', {
      fix: unlogged.map(({ schema, name }) =>
        fixOn('source', `alter table ${qualified(schema, name)} set logged;`),
      ),
      details: [
        ...unlogged.map((table) => `${nameOf(table)} is unlogged`),
        ...foreign.map((table) => `${nameOf(table)} is a foreign table: exclude it`),
        ...foreignThere.map((table) => `${nameOf(table)} is a foreign table on the destination`),
      ],
    });
  },
};

const BATCH = 200;

/** Which of the tables have at least one row; those that the account may not read are left to another item. */
async function tablesWithRows(of: CheckedDatabase, tables: readonly ReplicaKeys[]): Promise<ReplicaKeys[]> {
  const mayReadSql = /* sql */ `
    select n.nspname as schema, c.relname as name
    from unnest($1::text[], $2::text[]) asked (schema, name)
    join pg_namespace n on n.nspname = asked.schema and has_schema_privilege(n.oid, 'usage')
    join pg_class c on c.relnamespace = n.oid and c.relname = asked.name and c.relkind = 'r'
      and has_table_privilege(c.oid, 'select') and not row_security_active(c.oid)`;
  const names = await of.rows<TableName>(mayReadSql, [
    tables.map((t) => t.schema),
    tables.map((t) => t.name),
  ]);
  const readable = new Set(names.map(keyOfTable));
  const asked = tables.filter((table) => readable.has(keyOfTable(table)));
  const full: ReplicaKeys[] = [];
  for (let from = 0; from < asked.length; from += BATCH) {
    const batch = asked.slice(from, from + BATCH);
    const parts = batch.map(
      ({ schema, name }, index) =>
        /* sql */ `select ${index} as place where exists (select from only ${qualified(schema, name)})`,
    );
    const rows = await of.rows<{ place: number }>(parts.join(/* sql */ ` union all `));
    full.push(...rows.map(({ place }) => batch[place]!));
  }
  return full.sort((one, other) => (nameOf(one) < nameOf(other) ? -1 : 1));
}

export const conflictingTables: Check = {
  item: 'conflicting-tables',
  title: 'The tables of the destination are absent or empty',
  run: async ({ config, destination, onDestination, filledByOpposite }) => {
    if (!config.types.full) return passed('There is no full copy: existing rows are expected.');
    const own = [...onDestination.values()].filter((table) => !filledByOpposite(table));
    const filled = own.length > 0 ? await tablesWithRows(destination, own) : [];
    if (filled.length === 0)
      return passed(
        own.length < onDestination.size
          ? 'No table has rows, but those that the other task synchronizes.'
          : 'No table has rows.',
      );
    const details = filled.map((table) => `${nameOf(table)}: about ${Math.max(1, table.estimatedRows)} rows`);
    if (config.conflictingTables === 'ignore')
      return alert(
        `${count(filled.length, 'table')} with rows: they are kept, and overwritten by changes only.`,
        {
          details: [...details, 'Both sides are only called identical after a verification.'],
        },
      );
    return failed(`${count(filled.length, 'table')} of the destination with rows: ${nameOf(filled[0]!)}.`, {
      fix: [
        fixOn(
          'destination',
          `truncate table ${filled.map(({ schema, name }) => qualified(schema, name)).join(', ')};`,
        ),
      ],
      details: [
        ...details,
        'The statement deletes these rows. To keep them, set conflictingTables to "ignore" in the configuration.',
      ],
    });
  },
};

const largeObjectTypes = /^(?:"?[\w$]+"?\.)?(oid|lo)(\[\])?$/;

export const largeObjects: Check = {
  item: 'large-objects',
  title: 'No column refers to large objects',
  run: async ({ tables }) => {
    const found = tables.flatMap((table) =>
      table.columns
        .filter((column) => largeObjectTypes.test(column.type))
        .map((column) => ({ table, column })),
    );
    if (found.length === 0) return passed('No column of type oid or lo.');
    return failed('Large objects are not in the stream of changes: only their numbers would arrive.', {
      ignorable: true,
      fix: found.map(({ table, column }) =>
        fixOn(
          'source',
          `alter table ${qualified(table.schema, table.name)} alter column ${ident(column.name)} type bytea using pg_catalog.lo_get(${ident(column.name)});`,
        ),
      ),
      details: found.map(({ table, column }) => `${nameOf(table)}.${column.name} is of type ${column.type}`),
    });
  },
};

export const rowSecurity: Check = {
  item: 'row-security',
  title: 'No row security hides rows from the account',
  run: async (context) => {
    const { source, destination, onDestination } = context;
    const sides = [
      { database: source, hidden: rowTables(context).filter((table) => table.rowSecurityActive) },
      {
        database: destination,
        hidden: [...onDestination.values()].filter((table) => table.rowSecurityActive),
      },
    ].filter(({ hidden }) => hidden.length > 0);
    if (sides.length === 0) return passed('No policy applies to the account.');
    return failed('Row security applies to the account: rows would be left out, or refused.', {
      fix: sides.map(({ database }) =>
        fixOn(database.role, `alter role ${ident(database.target.user)} bypassrls;`),
      ),
      details: sides.flatMap(({ database, hidden }) =>
        hidden.map((table) => `${database.role}: ${nameOf(table)}`),
      ),
    });
  },
};
