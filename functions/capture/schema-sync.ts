import type pg from 'pg';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { Queryable } from '../../shared/postgres/connect.ts';
import { keyOf, objectsOf, type SchemaModel, type TableModel } from '../../shared/postgres/schema/model.ts';
import { planSchema } from '../../shared/postgres/schema/plan.ts';
import { readDestination, readSchema } from '../../shared/postgres/schema/read.ts';
import type { Phase, SchemaPlan, Statement } from '../../shared/postgres/schema/statement.ts';
import { unsupportedObjects } from '../../shared/postgres/schema/unsupported.ts';
import { isTransient, translate } from '../../shared/postgres/sqlstate.ts';
import { destinationModel } from '../../shared/task/destination-schema.ts';
import type { TableName, TaskConfig } from '../../shared/task/schema.ts';

/** All under the destination's names. */
export type SchemaState = {
  readonly source: SchemaModel;
  readonly destination: SchemaModel;
  readonly plan: SchemaPlan;
};

/** What the destination lacks of the tables and what they need. Throws for what can not be made, by name. */
export async function readSchemaState(
  source: Queryable,
  destination: Queryable,
  tables: readonly TableName[],
  config: TaskConfig,
): Promise<SchemaState> {
  const model = destinationModel(await readSchema(source as never, tables), config);
  const there = await readDestination(destination as never, model);
  const refused = unsupportedObjects(model, there.serverVersion).filter((f) => f.severity === 'error');
  if (refused.length > 0)
    throw new PgtwinError('schema-not-supported', {
      detail: refused
        .slice(0, 10)
        .map((f) => `${f.kind} ${f.schema}.${f.name}: ${f.reason}`)
        .join('; '),
    });
  return { source: model, destination: there, plan: planSchema(model, { destination: there }) };
}

/**
 * Gives a session that builds indexes room to sort in, at least 256 MB: in the default of 64 MB millions of keys do
 * not fit.
 */
export async function makeRoomForIndexes(client: Queryable): Promise<void> {
  await client.query(
    /* sql */ `select set_config(name, '256MB', false) from pg_catalog.pg_settings
                where name = 'maintenance_work_mem' and setting::int8 < 262144`,
  );
}

const TRIES = 5;

/** Runs statements one by one; after a crash, plan again: what was made is left out then. */
export async function runStatements(
  client: pg.Client,
  statements: readonly Statement[],
  signal?: AbortSignal,
): Promise<void> {
  for (const { sql, object } of statements)
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted();
      try {
        await client.query(sql);
        break;
      } catch (error) {
        // Apply and users work on the same tables meanwhile.
        if (isTransient(error) && attempt < TRIES) continue;
        const translated = translate(error);
        if (translated.code !== 'database-error') throw translated;
        const detail = `Making ${object.kind} ${object.schema}.${object.name}: ${translated.message}`;
        throw new PgtwinError('copy-failed', { ...translated.facts, detail });
      }
    }
}

/** The statements of a phase that concern each table or its partitions, by the topmost table's name there. */
export function byTable({ source, destination }: SchemaState, phase: Phase): Map<string, string[]> {
  const models = new Map(objectsOf(source, 'table').map((each) => [keyOf(each), each]));
  const there = new Map(objectsOf(destination, 'table').map((each) => [keyOf(each), each]));
  const groups = new Map<string, TableModel[]>();
  for (const table of models.values()) {
    let root = table;
    while (root.partitionOf) {
      const parent = models.get(keyOf(root.partitionOf));
      if (!parent) break;
      root = parent;
    }
    const group = groups.get(keyOf(root));
    if (group) group.push(table);
    else groups.set(keyOf(root), [table]);
  }
  const statements = new Map<string, string[]>();
  for (const [root, group] of groups) {
    const existing = group.flatMap((table) => there.get(keyOf(table)) ?? []);
    const plan = planSchema(
      { ...source, objects: group },
      { destination: { ...destination, objects: existing } },
    );
    if (plan[phase].length > 0)
      statements.set(
        root,
        plan[phase].map((each) => each.sql),
      );
  }
  return statements;
}
