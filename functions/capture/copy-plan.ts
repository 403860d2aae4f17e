import { CHUNK_BYTES, MOST_CHUNKS, planChunks } from '../../shared/copy/chunks.ts';
import { readTouched } from '../../shared/copy/ledger.ts';
import { relationOf } from '../../shared/copy/work.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { Queryable } from '../../shared/postgres/connect.ts';
import { choosesColumns } from '../../shared/task/columns.ts';
import type { FullLimits } from '../../shared/task/load-limits.ts';
import { mappingOf } from '../../shared/task/mapping.ts';
import type { PreparedTable, TaskConfig } from '../../shared/task/schema.ts';
import { keyOfTable } from '../../shared/task/selection.ts';
import { etlOf, nameOfOutput } from '../../shared/task/table-etl.ts';
import { filterOf } from '../../shared/task/table-rules.ts';
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
 * the statements of the keys that are yet to be made, by the table's name there.
 */
export async function planCopy(options: {
  readonly source: Queryable;
  readonly destination: Queryable;
  readonly task: string;
  readonly generation: number;
  readonly tables: readonly PreparedTable[];
  readonly config: TaskConfig;
  readonly limits?: FullLimits | undefined;
  readonly primaryKeys: ReadonlyMap<string, readonly string[]>;
}): Promise<CopyTable[]> {
  const { source, destination, tables, config } = options;
  const heaps = await readHeaps(source, tables);
  const from = await readColumns(source, tables);
  const mapping = mappingOf(config.objects.mapping);
  const targets = tables.map(mapping.table);
  const to = await readColumns(destination, targets);
  const there = await readDestinationTables(destination, targets);
  const touched = await readTouched(destination, options);
  const types = await readTypes(
    source,
    [...from.values()].flat().map((c) => c.oid),
  );
  const sameMajor = (await majorOf(source)) === (await majorOf(destination));

  return tables.map((table): CopyTable => {
    const target = mapping.table(table);
    const at = keyOfTable(target);
    const found = there.get(at);
    const relation = relationOf(target);
    if (!found)
      throw new PgtwinError('relation-unknown', {
        detail: `${target.schema}.${target.name} is not there on the destination.`,
      });
    const inDestination = to.get(at) ?? [];
    const etl = etlOf(config.objects, table);
    const isChosen = etl !== undefined || choosesColumns(config.objects, table);
    const chosen = isChosen && table.columns ? new Set(table.columns) : undefined;
    const inSource = (from.get(keyOfTable(table)) ?? []).filter((c) => chosen?.has(c.name) ?? true);
    const nameThere = (column: string) => mapping.column(table, column);
    const rest = {
      table: target,
      relation,
      chunks: planChunks(heaps.get(keyOfTable(table)) ?? [], {
        ...chunkSizeOf(config, options.limits),
        chunks: MOST_CHUNKS,
      }),
      where: filterOf(config.objects, table),
      merge: found.filled || touched.has(relation),
      key: found.deferrable ? table.key.map(nameThere) : null,
      primaryKey: options.primaryKeys.get(at) ?? [],
    };
    if (etl) {
      const into = etl.output.map((output) => nameOfOutput(mapping, table, output));
      const made = into.map((name) => ({ ...{ name, there: name, type: '', oid: '0', generated: false } }));
      sharedColumns(target, made, inDestination, false);
      const { schema, name } = table;
      return { ...rest, columns: [...table.columns!], into, source: { schema, name }, format: 'text' };
    }
    const shared = sharedColumns(
      target,
      inSource.map((c) => ({ ...c, there: nameThere(c.name) })),
      inDestination,
      config.conflictingTables === 'ignore',
    );
    const typeThere = new Map(inDestination.map((c) => [c.name, c.type]));
    const binary =
      sameMajor && shared.every((c) => c.type === typeThere.get(c.there) && isBinarySafe(c.oid, types));
    return {
      ...rest,
      columns: shared.map((c) => c.name),
      into: shared.map((c) => c.there),
      source: undefined,
      format: binary ? 'binary' : 'text',
    };
  });
}

/** At a limited pace a chunk still ends well before its function would be ended. */
const CHUNK_SECONDS = 60;

export function chunkSizeOf(
  { chunkRows, copyParallelism }: Pick<TaskConfig, 'chunkRows' | 'copyParallelism'>,
  limits: FullLimits | undefined,
): { rows: number; bytes: number } {
  const within = (limit: number | null | undefined) =>
    limit ? Math.max(1, Math.ceil((limit / copyParallelism) * CHUNK_SECONDS)) : Number.POSITIVE_INFINITY;
  return {
    rows: Math.min(chunkRows, within(limits?.rowsPerSecond)),
    bytes: Math.min(CHUNK_BYTES, within(limits?.bytesPerSecond)),
  };
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
