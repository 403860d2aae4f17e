import { PgtwinError } from '../../../../shared/errors/pgtwin-error.ts';
import { compileEtl } from '../../../../shared/etl/plan.ts';
import type { ReplicaKeys } from '../../../../shared/postgres/catalog.ts';
import { qualified } from '../../../../shared/postgres/ident.ts';
import type { Difference } from '../../../../shared/postgres/schema/compare.ts';
import { objectsOf } from '../../../../shared/postgres/schema/model.ts';
import { choosesColumns, selectedColumns } from '../../../../shared/task/columns.ts';
import { mappingOf, mapTables } from '../../../../shared/task/mapping.ts';
import { keyOfTable } from '../../../../shared/task/selection.ts';
import { filterOf, stepsOf } from '../../../../shared/task/table-rules.ts';
import { checkCondition, readCondition } from '../../../../shared/task/where.ts';
import {
  alert,
  type Check,
  count,
  differencesOf,
  failed,
  fixOn,
  nameOf,
  type Outcome,
  type PrecheckContext,
  passed,
} from '../check.ts';
import type { CheckedDatabase } from '../database.ts';

export const columns: Check = {
  item: 'columns',
  title: 'The selected columns exist, and no key is left out',
  run: async ({ config, tables }) => {
    const chosen = tables.filter((table) => choosesColumns(config.objects, table));
    const wrong = chosen.flatMap((table) => {
      const names = table.columns.map((column) => column.name);
      return messagesOf(() => selectedColumns(config.objects, table, names, table.identityColumns ?? []));
    });
    if (wrong.length > 0)
      return failed(wrong[0]!, { details: [...wrong, 'Correct objects.columns of the task.'] });
    return passed(
      chosen.length === 0 ? 'All columns are taken.' : `${count(chosen.length, 'table')} in part.`,
    );
  },
};

export const objectNames: Check = {
  item: 'object-names',
  title: 'Every object has a name of its own on the destination',
  run: async ({ config, tables, expected }) => {
    const mapping = mappingOf(config.objects.mapping);
    if (mapping.isIdentity) return passed('Names are the same on both sides.');
    const all = [
      ...tables.map((table) => ({ ...table, columns: table.columns.map((column) => column.name) })),
      ...expected.map((table) => ({ ...table, columns: [] })),
    ];
    const wrong = messagesOf(() => mapTables(mapping, all));
    if (wrong.length > 0)
      return failed(wrong[0]!, { details: [...wrong, 'Correct objects.mapping of the task.'] });
    const moved = mapTables(mapping, all).filter(
      ({ source, destination, columns: list }) =>
        nameOf(source) !== nameOf(destination) || list.some((each) => each.source !== each.destination),
    );
    return passed(
      `${count(moved.length, 'table')} with other names on the destination.`,
      moved.map(({ source, destination }) => `${nameOf(source)}: ${nameOf(destination)}`),
    );
  },
};

/** Columns of the source that tables of the destination lack. */
export async function lackingColumns(context: PrecheckContext): Promise<Difference[]> {
  const { config, schemas } = context;
  if (config.conflictingTables !== 'ignore') return [];
  const { destination } = await schemas();
  const there = new Map(
    objectsOf(destination, 'table').map((table) => [
      keyOfTable(table),
      new Set(table.columns.map((c) => c.name)),
    ]),
  );
  return (await differencesOf(context)).filter(
    (each) => each.column !== null && there.get(keyOfTable(each))?.has(each.column) === false,
  );
}

export const sharedColumns: Check = {
  item: 'shared-columns',
  title: 'Tables of the destination have all columns of the source',
  run: async (context) => {
    const lacking = await lackingColumns(context);
    const keys = new Set(
      context.tables.flatMap((table) => {
        const { schema, name } = context.there(table);
        const { column } = mappingOf(context.config.objects.mapping);
        return (table.identityColumns ?? []).map((each) =>
          JSON.stringify([schema, name, column(table, each)]),
        );
      }),
    );
    const lost = lacking.filter(({ schema, name, column }) =>
      keys.has(JSON.stringify([schema, name, column])),
    );
    if (lost.length > 0)
      return failed(`${count(lost.length, 'key column')} are not on the destination.`, {
        details: lost.map(({ text }) => text),
      });
    if (lacking.length === 0) return passed('No column is left out.');
    return alert(
      `${count(lacking.length, 'column')} NOT SYNCHRONIZED: the destination does not have them (conflictingTables "ignore").`,
      { details: lacking.map(({ schema, name, column }) => `${schema}.${name}.${column} is left out`) },
    );
  },
};

const toastedSql = /* sql */ `
  select n.nspname as schema, c.relname as name, a.attname as column
    from unnest($1::text[], $2::text[]) asked (schema, name)
    join pg_namespace n on n.nspname = asked.schema
    join pg_class c on c.relnamespace = n.oid and c.relname = asked.name
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attstorage <> 'p'
   order by 1, 2, a.attnum`;

/** Columns whose values may be kept apart: unchanged ones are not in the stream, unless the whole old row is. */
async function toastedColumns(
  of: CheckedDatabase,
  tables: readonly ReplicaKeys[],
): Promise<(table: ReplicaKeys) => string[]> {
  const rows = await of.rows<{ schema: string; name: string; column: string }>(toastedSql, [
    tables.map((table) => table.schema),
    tables.map((table) => table.name),
  ]);
  return (table) =>
    rows
      .filter((row) => row.schema === table.schema && row.name === table.name)
      .map(({ column }) => column)
      .filter((column) => !table.identityColumns?.includes(column));
}

const identityFull = (table: ReplicaKeys) =>
  fixOn('source', `alter table ${qualified(table.schema, table.name)} replica identity full;`);

/** What a table's condition or steps need of old rows, as an outcome for all of them. */
async function oldValues(
  { source }: PrecheckContext,
  used: readonly { readonly table: ReplicaKeys; readonly columns: readonly string[] }[],
  what: string,
  filters: boolean,
): Promise<Outcome> {
  const partial = used.filter(({ table }) => table.replicaIdentity !== 'full');
  const toasted = await toastedColumns(
    source,
    partial.map(({ table }) => table),
  );
  const lacking = partial.flatMap(({ table, columns: list }) => {
    const found = list.filter((column) => toasted(table).includes(column));
    return found.length > 0 ? [{ table, found }] : [];
  });
  if (lacking.length > 0)
    return failed(
      `${count(lacking.length, 'table')} without REPLICA IDENTITY FULL: ${what} needs values that an update may not send.`,
      {
        fix: lacking.map(({ table }) => identityFull(table)),
        details: lacking.map(({ table, found }) => `${nameOf(table)}: ${found.join(', ')}`),
      },
    );
  const large = filters ? partial.filter(({ table }) => toasted(table).length > 0) : [];
  if (large.length === 0) return passed(`${count(used.length, 'table')}.`);
  return alert(
    `${count(large.length, 'table')} where a row that moves in may lack large values that did not change.`,
    {
      fix: large.map(({ table }) => identityFull(table)),
      details: [
        ...large.map(({ table }) => `${nameOf(table)}: ${toasted(table).join(', ')}`),
        'Such a row is a line of the conflict log with result "incomplete". The statements avoid it.',
      ],
    },
  );
}

export const rowFilters: Check = {
  item: 'row-filters',
  title: 'The conditions for rows are ones that both databases understand alike',
  run: async (context) => {
    const { config, tables, source } = context;
    const wrong: string[] = [];
    const used: { table: ReplicaKeys; columns: readonly string[] }[] = [];
    for (const table of tables) {
      const where = filterOf(config.objects, table);
      if (where === undefined) continue;
      try {
        const { columns: named } = await readCondition(where);
        await source.session((client) => checkCondition(client as never, table, where));
        used.push({ table, columns: named });
      } catch (error) {
        if (!(error instanceof PgtwinError)) throw error;
        wrong.push(error.message);
      }
    }
    if (wrong.length > 0)
      return failed(wrong[0]!, { details: [...wrong, 'Correct objects.filters of the task.'] });
    if (used.length === 0) return passed('All rows are taken.');
    return oldValues(context, used, 'the condition', true);
  },
};

export const etl: Check = {
  item: 'etl',
  title: 'The steps for rows fit the columns of their tables',
  run: async (context) => {
    const { config, tables } = context;
    const used: { table: ReplicaKeys; columns: readonly string[] }[] = [];
    let filters = false;
    const wrong = tables.flatMap((table) => {
      const steps = stepsOf(config.objects, table);
      if (steps.length === 0) return [];
      return messagesOf(() => {
        const key = table.identityColumns ?? [];
        const stored = table.columns.filter((column) => !column.generated);
        const names = stored.map((column) => column.name);
        const chosen = new Set(selectedColumns(config.objects, table, names, key));
        const input = stored.filter((column) => chosen.has(column.name));
        const plan = compileEtl(nameOf(table), steps, input, key);
        filters ||= plan.filters;
        used.push({ table, columns: plan.uses });
      });
    });
    if (wrong.length > 0)
      return failed(wrong[0]!, { details: [...wrong, 'Correct objects.etl of the task.'] });
    if (used.length === 0) return passed('Rows are carried as they are.');
    return oldValues(context, used, 'a step', filters);
  },
};

/** What a pure function has against its input. */
function messagesOf(work: () => unknown): string[] {
  try {
    work();
    return [];
  } catch (error) {
    if (error instanceof PgtwinError) return [error.message];
    throw error;
  }
}
