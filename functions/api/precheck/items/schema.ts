import { ident, qualified } from '../../../../shared/postgres/ident.ts';
import type { Difference } from '../../../../shared/postgres/schema/compare.ts';
import {
  type ColumnModel,
  keyOf,
  objectsOf,
  type SchemaModel,
} from '../../../../shared/postgres/schema/model.ts';
import { unsupportedObjects } from '../../../../shared/postgres/schema/unsupported.ts';
import { keyOfTable } from '../../../../shared/task/selection.ts';
import {
  alert,
  type Check,
  count,
  differencesOf,
  failed,
  fixOn,
  nameOf,
  type PrecheckContext,
  passed,
} from '../check.ts';
import { lackingColumns } from './objects.ts';

/** Foreign keys have an item of their own. */
const isForeignKey = (kind: string): boolean => kind === 'foreign key';

export const schemaSupport: Check = {
  item: 'schema-support',
  title: 'Schema synchronization can make everything that the tables need',
  run: async ({ config, schemas }) => {
    if (!config.types.schema) return passed('The schema is not synchronized.');
    const { wanted } = await schemas();
    const findings = unsupportedObjects(wanted).filter(({ kind }) => !isForeignKey(kind));
    const text = ({ kind, schema, name, reason }: (typeof findings)[number]) =>
      `${kind} ${schema ? `${schema}.` : ''}${name}: ${reason}`;
    const errors = findings.filter(({ severity }) => severity === 'error');
    const notes = findings.filter(({ severity }) => severity === 'note');
    if (errors.length > 0)
      return failed(`${count(errors.length, 'object')} can not be made on the destination.`, {
        details: [
          ...errors.map(text),
          'Make these on the destination by hand and set types.schema to false, or exclude their tables.',
        ],
      });
    // A function's body is only a reminder: nothing is left out.
    const left = notes.filter(({ kind }) => kind !== 'function');
    return left.length === 0
      ? passed('Everything can be made.', notes.map(text))
      : alert(`${count(left.length, 'object')} left out, or made in part.`, { details: notes.map(text) });
  },
};

export const foreignKeys: Check = {
  item: 'foreign-keys',
  title: 'Foreign keys refer to selected tables',
  run: async ({ schemas }) => {
    const { source } = await schemas();
    const selected = new Set(objectsOf(source, 'table').map(keyOf));
    const out = objectsOf(source, 'table').flatMap((table) =>
      table.constraints
        .filter((each) => each.references !== null && !selected.has(keyOf(each.references)))
        .map((constraint) => ({ table, constraint })),
    );
    if (out.length === 0) return passed('Every foreign key refers to a selected table.');
    return alert(
      `${count(out.length, 'foreign key')} to tables that are not selected, left out on the destination.`,
      {
        fix: out.map(({ table, constraint }) =>
          fixOn(
            'source',
            `alter table ${qualified(table.schema, table.name)} drop constraint ${ident(constraint.name)};`,
          ),
        ),
        details: [
          ...out.map(
            ({ table, constraint }) =>
              `${nameOf(table)}, ${constraint.name}: refers to ${nameOf(constraint.references!)}`,
          ),
          'Better than dropping them: select these tables as well.',
        ],
      },
    );
  },
};

const triggersSql = /* sql */ `
select n.nspname as schema, c.relname as name, t.tgname as trigger,
  case t.tgenabled when 'A' then 'ALWAYS' else 'REPLICA' end as mode
from unnest($1::text[], $2::text[]) asked (schema, name)
join pg_namespace n on n.nspname = asked.schema
join pg_class c on c.relnamespace = n.oid and c.relname = asked.name
join pg_trigger t on t.tgrelid = c.oid and not t.tgisinternal and t.tgenabled in ('A', 'R')
order by 1, 2, 3`;
type Trigger = { schema: string; name: string; trigger: string; mode: string };

export const triggers: Check = {
  item: 'triggers',
  title: 'No trigger fires for synchronized rows',
  run: async ({ source, destination, tables, onDestination }) => {
    const read = (of: typeof source, names: readonly { schema: string; name: string }[]) =>
      of.rows<Trigger>(triggersSql, [names.map((t) => t.schema), names.map((t) => t.name)]);
    // Where the destination has no such table, schema synchronization makes the source's triggers there.
    const absent = tables.filter((table) => !onDestination.has(keyOfTable(table)));
    const [there, later] = await Promise.all([
      read(destination, [...onDestination.values()]),
      read(source, absent),
    ]);
    if (there.length + later.length === 0) return passed('No trigger is ENABLE ALWAYS or ENABLE REPLICA.');
    const enable = ({ schema, name, trigger }: Trigger) =>
      `alter table ${qualified(schema, name)} enable trigger ${ident(trigger)};`;
    return alert('Triggers fire on the destination although they have fired on the source.', {
      fix: [
        ...there.map((each) => fixOn('destination', enable(each))),
        ...later.map((each) => fixOn('source', enable(each))),
      ],
      details: [...there, ...later].map((each) => `${nameOf(each)}, ${each.trigger}: ENABLE ${each.mode}`),
    });
  },
};

export const schemaDifferences: Check = {
  item: 'schema-differences',
  title: 'Tables that exist on both sides are alike',
  run: async (context) => {
    const { wanted, destination } = await context.schemas();
    const left = new Set((await lackingColumns(context)).map(({ text }) => text));
    const all = (await differencesOf(context)).filter(
      (each) => !isToBeMade(context, destination, each) && !left.has(each.text),
    );
    const errors = all.filter(({ severity }) => severity === 'error');
    if (errors.length > 0)
      return failed(`${count(errors.length, 'difference')} that would stop the task: ${errors[0]!.text}.`, {
        fix: errors.flatMap((each) => differenceFix(each, wanted, destination)),
        details: all.map(({ text }) => text),
      });
    return all.length === 0
      ? passed('The tables are alike, or are still to be made.')
      : alert(`${count(all.length, 'difference')}; rows still fit.`, {
          details: all.map(({ text }) => text),
        });
  },
};

/** Absent tables and types are no difference where schema synchronization makes them. */
function isToBeMade(
  { config, onDestination }: PrecheckContext,
  destination: SchemaModel,
  each: Difference,
): boolean {
  if (!config.types.schema) return false;
  if (each.kind === 'type')
    return !objectsOf(destination, 'type').some((type) => keyOf(type) === keyOf(each));
  return ![...onDestination.values()].some((table) => keyOfTable(table) === keyOfTable(each));
}

/** What makes a column of the destination take what the source holds. */
function differenceFix(
  { schema, name, column }: Difference,
  source: SchemaModel,
  destination: SchemaModel,
): ReturnType<typeof fixOn>[] {
  if (column === null) return [];
  const find = (model: SchemaModel): ColumnModel | undefined =>
    objectsOf(model, 'table')
      .find((table) => table.schema === schema && table.name === name)
      ?.columns.find((each) => each.name === column);
  const [from, to] = [find(source), find(destination)];
  const alter = (what: string) => fixOn('destination', `alter table ${qualified(schema, name)} ${what};`);
  const quoted = ident(column);
  if (from && !to) return [alter(`add column ${quoted} ${from.type}`)];
  if (!to) return [];
  return [
    ...(from && from.type !== to.type
      ? [alter(`alter column ${quoted} type ${from.type} using ${quoted}::${from.type}`)]
      : []),
    ...(to.notNull && !from?.notNull ? [alter(`alter column ${quoted} drop not null`)] : []),
  ];
}
