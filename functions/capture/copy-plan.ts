import { CHUNK_BYTES, MOST_CHUNKS, planChunks } from '../../shared/copy/chunks.ts';
import { readTouched } from '../../shared/copy/ledger.ts';
import { relationOf } from '../../shared/copy/work.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { Queryable } from '../../shared/postgres/connect.ts';
import type { PreparedTable, TaskConfig } from '../../shared/task/schema.ts';
import { keyOfTable } from '../../shared/task/selection.ts';
import {
  isBinarySafe,
  readColumns,
  readDestinationTables,
  readHeaps,
  readTypes,
  sharedColumns,
} from './copy-catalog.ts';
import type { CopyTable } from './copy-units.ts';

/**
 * Decides for each table how it is copied: its chunks, columns and format, and whether rows may be there already, of
 * the users or of a former attempt. Those are kept (merge), which needs a key on the destination: `primaryKeys` has
 * the statements of the keys that are yet to be made.
 */
export async function planCopy(options: {
  readonly source: Queryable;
  readonly destination: Queryable;
  readonly task: string;
  readonly generation: number;
  readonly tables: readonly PreparedTable[];
  readonly config: TaskConfig;
  readonly primaryKeys: ReadonlyMap<string, readonly string[]>;
}): Promise<CopyTable[]> {
  const { source, destination, tables, config } = options;
  const heaps = await readHeaps(source, tables);
  const from = await readColumns(source, tables);
  const to = await readColumns(destination, tables);
  const there = await readDestinationTables(destination, tables);
  const touched = await readTouched(destination, options);
  const types = await readTypes(
    source,
    [...from.values()].flat().map((c) => c.oid),
  );
  const sameMajor = (await majorOf(source)) === (await majorOf(destination));

  return tables.map((table) => {
    const { schema, name, key } = table;
    const at = keyOfTable(table);
    const target = there.get(at);
    const relation = relationOf(table);
    if (!target)
      throw new PgtwinError('relation-unknown', {
        detail: `${schema}.${name} is not there on the destination.`,
      });
    const inDestination = to.get(at) ?? [];
    const shared = sharedColumns(
      table,
      from.get(at) ?? [],
      inDestination,
      config.conflictingTables === 'ignore',
    );
    const typeThere = new Map(inDestination.map((c) => [c.name, c.type]));
    const binary =
      sameMajor && shared.every((c) => c.type === typeThere.get(c.name) && isBinarySafe(c.oid, types));
    return {
      table: { schema, name },
      relation,
      chunks: planChunks(heaps.get(at) ?? [], {
        rows: config.chunkRows,
        bytes: CHUNK_BYTES,
        chunks: MOST_CHUNKS,
      }),
      columns: shared.map((c) => c.name),
      format: binary ? 'binary' : 'text',
      merge: target.filled || touched.has(relation),
      key: target.deferrable ? key : null,
      primaryKey: options.primaryKeys.get(at) ?? [],
    };
  });
}

/** A table whose rows are merged needs its key before; the others get it when their rows are there. */
export function keysFirst(tables: readonly CopyTable[]): { first: string[]; tables: CopyTable[] } {
  return {
    first: tables.flatMap((t) => (t.merge ? t.primaryKey : [])),
    tables: tables.map((t) => (t.merge ? { ...t, primaryKey: [] } : t)),
  };
}

const majorOf = async (client: Queryable): Promise<number> => {
  const { rows } = await client.query<{ version: number }>(
    /* sql */ `select current_setting('server_version_num')::int / 10000 as version`,
  );
  return rows[0]!.version;
};
