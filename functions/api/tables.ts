import type { CatalogPage, CopyPage } from '../../shared/client/client.ts';
import type { CatalogQuery, CopyQuery, CopyTableView } from '../../shared/client/contract.ts';
import { type CopiedTable, readCopied } from '../../shared/copy/ledger.ts';
import { relationOf } from '../../shared/copy/work.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import {
  type ListedTable,
  listTables,
  type ReplicaKeys,
  readReplicaKeys,
} from '../../shared/postgres/catalog.ts';
import type { Queryable } from '../../shared/postgres/connect.ts';
import { mappingOf } from '../../shared/task/mapping.ts';
import { targetOf } from '../../shared/task/ports.ts';
import { destinationOf, type Pair, type Side, sourceOf, type Task } from '../../shared/task/schema.ts';
import { selectTables, withRoots } from '../../shared/task/selection.ts';
import { open } from './connectivity.ts';
import { type ApiDeps, connectTimeoutOf } from './deps.ts';

/** One page of a database's tables; partitions stand under their topmost table. */
export const readCatalog = (
  deps: ApiDeps,
  pair: Pair,
  side: Side,
  query: CatalogQuery,
): Promise<CatalogPage> =>
  onSide(deps, pair, side, async (client) => {
    const page = pageOf(await listRoots(client), query);
    const keys = await readReplicaKeys(client, page.entries);
    const tables = keys.map((table) => ({
      ...{ schema: table.schema, name: table.name, kind: table.kind },
      ...{ rowsEstimated: table.estimatedRows, sizeBytes: table.sizeBytes },
      key: table.identityColumns ? [...table.identityColumns] : null,
      ...(query.columns === 'true'
        ? { columns: table.columns.map(({ name, type, notNull }) => ({ name, type, notNull })) }
        : {}),
    }));
    return page.next === undefined ? { tables } : { tables, next: page.next };
  });

/**
 * How far the full copy of this run is with each table: what is done stands in the destination's ledger, how much
 * there is in the source's catalogue. A task that copies nothing has no tables here.
 */
export async function readCopyProgress(
  deps: ApiDeps,
  pair: Pair,
  task: Task,
  query: CopyQuery,
): Promise<CopyPage> {
  if (task.configVersion === 0 || task.generation === 0) return { tables: [] };
  const config = await deps.repository.getConfig(task);
  const { id, generation, direction } = task;
  const [all, copied] = await Promise.all([
    onSide(deps, pair, sourceOf(direction), async (client) => {
      const selected = selectTables(config.objects, withRoots(await listAll(client)));
      return readReplicaKeys(
        client,
        selected.filter((table) => !table.root),
      );
    }),
    onSide(deps, pair, destinationOf(direction), async (client) =>
      (await hasLedger(client)) ? readCopied(client, { task: id, generation }) : undefined,
    ),
  ]);
  if (!config.types.full || copied === undefined) return { tables: [] };
  // The ledger has the destination's names.
  const mapping = mappingOf(config.objects.mapping);
  const views = all
    .map((table) => progressOf(table, copied.get(relationOf(mapping.table(table)))))
    .filter(({ state }) => query.state === undefined || query.state === state);
  const page = pageOf(views, query);
  return page.next === undefined ? { tables: page.entries } : { tables: page.entries, next: page.next };
}

function progressOf(table: ReplicaKeys, done: CopiedTable | undefined): CopyTableView {
  const { schema, name, estimatedRows, sizeBytes } = table;
  const rowsDone = done?.rows ?? 0;
  const rowsEstimated = done?.finished ? rowsDone : Math.max(estimatedRows, rowsDone);
  // A table is not done before its key is built: 100 percent is for the end.
  const percent =
    rowsEstimated === 0 ? 0 : Math.min(99.9, Math.round((1000 * rowsDone) / rowsEstimated) / 10);
  return {
    ...{ schema, name, rowsEstimated, rowsDone, bytesEstimated: sizeBytes },
    state: done?.finished ? 'done' : done ? 'copying' : 'waiting',
    percent: done?.finished ? 100 : percent,
  };
}

const listAll = async (client: Queryable): Promise<ListedTable[]> =>
  (await listTables(client)).filter((table) => !table.extension);
const listRoots = async (client: Queryable): Promise<ListedTable[]> =>
  (await listAll(client)).filter((table) => !table.partitionOf && table.persistence !== 'temporary');

const hasLedger = async (client: Queryable): Promise<boolean> => {
  const { rows } = await client.query<{ there: boolean }>(
    /* sql */ `select to_regclass('pgtwin.copy_chunk') is not null as there`,
  );
  return rows[0]?.there === true;
};

async function onSide<T>(
  deps: ApiDeps,
  pair: Pair,
  side: Side,
  work: (client: Queryable) => Promise<T>,
): Promise<T> {
  const target = await targetOf(pair.sides[side], deps.secrets);
  const client = await open(target, { field: `sides.${side}`, timeoutMs: connectTimeoutOf(deps) });
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => {});
  }
}

type Named = { readonly schema: string; readonly name: string };
type PageQuery = {
  readonly limit: number;
  readonly cursor?: string | undefined;
  readonly search?: string | undefined;
};

/** A page of a list that is ordered by name, from behind the name that the page before ended with. */
function pageOf<T extends Named>(
  all: readonly T[],
  { limit, cursor, search = '' }: PageQuery,
): { entries: T[]; next?: string } {
  const wanted = search.toLowerCase();
  const after = cursor === undefined ? undefined : decodeCursor(cursor);
  const entries = all
    .filter(({ schema, name }) => `${schema}.${name}`.toLowerCase().includes(wanted))
    .filter((each) => after === undefined || isAfter(each, after));
  const page = entries.slice(0, limit);
  const last = page.at(-1);
  return entries.length > limit && last ? { entries: page, next: encodeCursor(last) } : { entries: page };
}

/** As the catalogue orders them: by bytes. */
const isAfter = (one: Named, other: Named): boolean =>
  (Buffer.compare(Buffer.from(one.schema), Buffer.from(other.schema)) ||
    Buffer.compare(Buffer.from(one.name), Buffer.from(other.name))) > 0;

const encodeCursor = ({ schema, name }: Named): string =>
  Buffer.from(JSON.stringify([schema, name])).toString('base64url');

function decodeCursor(text: string): Named {
  try {
    const [schema, name] = JSON.parse(Buffer.from(text, 'base64url').toString()) as unknown[];
    if (typeof schema === 'string' && typeof name === 'string') return { schema, name };
  } catch {
    // said below
  }
  throw new PgtwinError('invalid-request', {
    field: 'query.cursor',
    detail: 'query.cursor: must be `next` of the page before.',
  });
}
