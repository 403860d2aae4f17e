import type pg from 'pg';
import { readFinished } from '../../shared/copy/ledger.ts';
import { relationOf } from '../../shared/copy/work.ts';
import type { Log } from '../../shared/log/log.ts';
import { advanceSequences, sequencePositions, sequencesOf } from '../../shared/postgres/catalog.ts';
import { type Target, withClient } from '../../shared/postgres/connect.ts';
import { qualified } from '../../shared/postgres/ident.ts';
import { mappingOf } from '../../shared/task/mapping.ts';
import {
  oppositeTask,
  type PreparedTable,
  type TableName,
  type TaskConfig,
} from '../../shared/task/schema.ts';
import { keyOfTable } from '../../shared/task/selection.ts';
import { makeRoomForIndexes, readSchemaState, runStatements } from './schema-sync.ts';

/** Tables that one ANALYZE looks at. */
const LIST = 50;
/** A lock that is not had in this time is tried for again later: apply must not wait behind us for long. */
const settings = { statement_timeout: '0', lock_timeout: '10000' };

/**
 * To be called when the stream has passed the copy's end (`Initialized.copyEnd`): only then are the rows of all tables
 * consistent with each other, so only then can unique indexes, foreign keys and triggers be made. Then statistics are
 * gathered and sequences moved past the source's. Safe to repeat: what is there is left out.
 */
export async function finishInitialization(options: {
  readonly task: string;
  readonly config: TaskConfig;
  readonly tables: readonly PreparedTable[];
  readonly source: Target;
  readonly destination: Target;
  readonly log: Log;
  readonly signal?: AbortSignal;
}): Promise<void> {
  const { task, config, tables, log, signal } = options;
  const how = { application: `pgtwin ${task} finish`, settings };
  await withClient(options.source, how, (source) =>
    withClient(options.destination, how, async (destination) => {
      // What came from the destination is as it was there: only its sequences may be behind.
      const copied = await readFinished(source, oppositeTask(task));
      const own = tables.filter((table) => !copied.has(relationOf(table)));
      if (config.types.schema) {
        const { plan } = await readSchemaState(source, destination, own, config);
        await makeRoomForIndexes(destination);
        const statements = [...plan.primaryKeys, ...plan.indexes, ...plan.foreignKeys, ...plan.after];
        await runStatements(destination, statements, signal);
        await noteDefinition(destination, task);
        log.info('schema finished', { task, statements: statements.length });
      }
      const mapping = mappingOf(config.objects.mapping);
      await analyze(destination, own.map(mapping.table), signal);
      await moveSequences(source, destination, tables, mapping.schema);
    }),
  );
}

/** Apply reads its tables anew: they have unique indexes and foreign keys now. */
const noteDefinition = async (destination: pg.Client, task: string): Promise<void> => {
  await destination.query(
    /* sql */ `update pgtwin.task set since = since where task = $1 and role = 'destination'`,
    [task],
  );
};

/** A table that the account may not analyze is skipped by the server with a warning. */
async function analyze(client: pg.Client, tables: readonly TableName[], signal?: AbortSignal): Promise<void> {
  for (let n = 0; n < tables.length; n += LIST) {
    signal?.throwIfAborted();
    const names = tables.slice(n, n + LIST).map((t) => qualified(t.schema, t.name));
    await client.query(/* sql */ `analyze ${names.join(', ')}`);
  }
}

/** Sets each sequence that the tables use past the source's last value; those of the destination never go back. */
export async function moveSequences(
  source: pg.Client,
  destination: pg.Client,
  tables: readonly TableName[],
  schemaThere: (schema: string) => string,
): Promise<void> {
  const used = await sequencesOf(source as never, tables);
  const named = <T extends TableName>(each: T): T => ({ ...each, schema: schemaThere(each.schema) });
  const there = new Set((await sequencePositions(destination as never, used.map(named))).map(keyOfTable));
  const positions = (await sequencePositions(source as never, used)).map(named);
  for (const sql of advanceSequences(positions.filter((each) => there.has(keyOfTable(each)))))
    await destination.query(sql);
}
