import type { Queryable } from '../../shared/postgres/connect.ts';
import { ident, literal, qualified } from '../../shared/postgres/ident.ts';
import { deletionTrigger } from '../../shared/postgres/names.ts';
import { policyOf } from '../../shared/task/conflict-config.ts';
import { mappingOf } from '../../shared/task/mapping.ts';
import type { PreparedTable, TaskConfig } from '../../shared/task/schema.ts';

/**
 * Notes deletions by users of the destination, where `onDeleted` is "by-time": a trigger writes them in the deletion's
 * own transaction. Applied deletions do not fire it where the account may set session_replication_role; where it may
 * not, apply knows its own. Safe to repeat.
 */
export async function ensureDeletionTriggers(
  destination: Queryable,
  task: string,
  config: TaskConfig,
  tables: readonly PreparedTable[],
): Promise<void> {
  const mapping = mappingOf(config.objects.mapping);
  for (const table of tables) {
    if (policyOf(config, table).onDeleted !== 'by-time') continue;
    const there = mapping.table(table);
    const name = qualified(there.schema, there.name);
    const key = table.key.map((column) => mapping.column(table, column));
    const args = [task, name, ...key].map(literal).join(', ');
    await destination.query(/* sql */ `
      create or replace trigger ${ident(deletionTrigger(task))} after delete on ${name}
        for each row execute function pgtwin.note_deletion(${args})`);
  }
}

const triggersSql = /* sql */ `
  select n.nspname as schema, c.relname as name
    from pg_catalog.pg_trigger t
    join pg_catalog.pg_class c on c.oid = t.tgrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where t.tgname = $1 and t.tgparentid = 0`;

/** Removes the triggers of a task. Safe to repeat. */
export async function dropDeletionTriggers(destination: Queryable, task: string): Promise<void> {
  const trigger = deletionTrigger(task);
  const { rows } = await destination.query<{ schema: string; name: string }>(triggersSql, [trigger]);
  for (const { schema, name } of rows)
    await destination.query(
      /* sql */ `drop trigger if exists ${ident(trigger)} on ${qualified(schema, name)}`,
    );
}

/** For a person, in the database of the destination. */
export const dropTriggersByHand = (task: string): string =>
  `do $$ declare t record; begin for t in select tgrelid::regclass as tbl from pg_trigger where tgname = ${literal(deletionTrigger(task))} and tgparentid = 0 loop execute format('drop trigger %I on %s', ${literal(deletionTrigger(task))}, t.tbl); end loop; end $$`;
