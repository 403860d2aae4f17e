import type pg from 'pg';
import { clearFailures } from '../../shared/copy/failure.ts';
import { beginAttempt, readFinished } from '../../shared/copy/ledger.ts';
import { type CopyStatus, copyStatus, type TableProgress } from '../../shared/copy/progress.ts';
import { relationOf } from '../../shared/copy/work.ts';
import type { Log } from '../../shared/log/log.ts';
import { connect, type Target } from '../../shared/postgres/connect.ts';
import { translate } from '../../shared/postgres/sqlstate.ts';
import { mappingOf, mapTables } from '../../shared/task/mapping.ts';
import type { Clock, WorkQueue } from '../../shared/task/ports.ts';
import { type Prepared, readPrepared, savePrepared } from '../../shared/task/prepared.ts';
import {
  destinationOf,
  oppositeTask,
  type PreparedTable,
  type Side,
  type TableName,
  type Task,
  type TaskConfig,
} from '../../shared/task/schema.ts';
import { keyOfTable } from '../../shared/task/selection.ts';
import type { Table } from '../../shared/task/table.ts';
import { readHeaps } from './copy-catalog.ts';
import { keysFirst, planCopy } from './copy-plan.ts';
import { CopyRun } from './copy-run.ts';
import { ensureDeletionTriggers } from './deletion-triggers.ts';
import { withAdded } from './new-tables.ts';
import { dropLaneOrigins, prepareHelpers, preparePublicationAndSlot } from './prepare.ts';
import { resolveTables, withKeys } from './resolve.ts';
import { byTable, makeRoomForIndexes, readSchemaState, runStatements } from './schema-sync.ts';
import { withShards, withShardsOfPair } from './shard-plan.ts';
import { withSharedColumns } from './shared-columns.ts';
import { identifySystem } from './slot.ts';
import { SnapshotHolder } from './snapshot.ts';

export type Configured = { readonly task: Task; readonly config: TaskConfig };

export type InitializeOptions = Configured & {
  /** The other task of the pair, if it is configured and not released. */
  readonly opposite: Configured | undefined;
  /** The side that decides conflicts. */
  readonly arbiter: Side;
  /** Of the pair. */
  readonly shards: number;
  readonly source: Target;
  readonly destination: Target;
  readonly table: Table;
  readonly queue: WorkQueue;
  readonly copyQueueUrl: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly onProgress: (status: CopyStatus, tables: readonly TableProgress[]) => void;
};

export type Initialized = {
  readonly prepared: Prepared;
  /** LSN of the source: once the stream has passed it, the copy is consistent and `finishInitialization` may run. */
  readonly copyEnd: string;
  /** What falls back to what, for a person. */
  readonly notes: readonly string[];
};

/** Apply reads what was prepared again every two seconds. */
const KNOWN_MS = 2_500;
/** Primary keys that are built at once. */
const BUILDERS = 2;
/** The holder's connection is quiet for as long as the copy takes: what lies in between must not take it for dead. */
const TOUCH_MS = 30_000;

/**
 * Brings a task in Initializing to where its stream may start: helper objects, tables, publications and slots of both
 * directions, and the copy. May be called again after any failure or crash: the slot is kept, tables that were
 * finished stay, the others are copied again under a new snapshot, keeping the rows that are there; what happened
 * between the snapshots is in the slot's stream, which starts before all of them.
 */
export async function initialize(options: InitializeOptions): Promise<Initialized> {
  const { task, source, destination, signal } = options;
  const application = `pgtwin ${task.id}`;
  const patient = { application, settings: { statement_timeout: '0', lock_timeout: '60000' } };
  const clients: pg.Client[] = [];
  const open = async (target: Target): Promise<pg.Client> => {
    const client = await connect(target, patient);
    clients.push(client);
    return client;
  };
  const cut = (): void => {
    for (const client of clients) void client.end().catch(() => {});
  };
  signal.addEventListener('abort', cut);
  try {
    signal.throwIfAborted();
    return await initializeOver(options, open, await open(source), await open(destination));
  } catch (error) {
    signal.throwIfAborted();
    throw translate(error, { task: task.id });
  } finally {
    signal.removeEventListener('abort', cut);
    await Promise.all(clients.map((client) => client.end().catch(() => {})));
  }
}

async function initializeOver(
  options: InitializeOptions,
  open: (target: Target) => Promise<pg.Client>,
  source: pg.Client,
  destination: pg.Client,
): Promise<Initialized> {
  const { task, config, signal, log } = options;
  const lanes = config.copyParallelism;
  const names = await resolveTables(source, config);
  const before = await formerPreparation(options);
  const known = new Set(before?.list.map(keyOfTable));
  const isNew = (table: TableName): boolean => before !== undefined && !known.has(keyOfTable(table));
  const keyed = withAdded(await withKeys(source, names, config, [], isNew), before);
  const shared = await withSharedColumns(source, destination, config, keyed);
  checkNames(config, shared);
  const tables = await withShards({ ...options, source, destination }, shared);
  const notes = await prepareHelpers(source, destination, {
    task: task.id,
    generation: task.generation,
    shards: options.shards,
    lanes,
  });

  const own = await notCopiedByOpposite(source, task, tables);
  const copied = config.types.full ? own : own.filter((table) => table.added);
  const full = await unfinished(destination, task, config, copied);
  const { prepared, holder } = await prepareOwn(options, source, tables, full);
  try {
    // Behind the locks: the tables keep their shape.
    let keys: ReadonlyMap<string, readonly string[]> = new Map();
    if (config.types.schema) {
      const state = await readSchemaState(source, destination, own, config);
      await runStatements(destination, state.plan.before, signal);
      keys = byTable(state, 'primaryKeys');
      // Without a copy nothing comes in between.
      if (!config.types.full) await runStatements(destination, state.plan.primaryKeys, signal);
    }
    if (config.decide === 'each-side' || options.arbiter === destinationOf(task.direction))
      await ensureDeletionTriggers(destination, task.id, config, tables);
    await prepareOpposite(options, source, destination, tables);
    if (holder) {
      if (holder.unlocked > 0)
        notes.push(
          `${holder.unlocked} tables are not locked during the copy: max_locks_per_transaction is too low.`,
        );
      await copyTables(options, { open, source, destination, holder, tables: full, keys });
      await dropLaneOrigins(destination, task.id, lanes);
    }
    // What apply knows of the tables may be so old: it has to know the new ones before their first change.
    if (tables.some(isNew)) await options.clock.sleep(KNOWN_MS, signal);
    const { rows } = await source.query<{ lsn: string }>(
      /* sql */ `select pg_current_wal_insert_lsn()::text as lsn`,
    );
    log.info('ready to stream', { task: task.id, tables: tables.length, copied: full.length });
    return { prepared, copyEnd: rows[0]!.lsn, notes };
  } finally {
    await holder?.close();
  }
}

/** What was prepared for this run of the task, if its slot is there: tables that are not in it are new ones. */
async function formerPreparation({ table, task }: InitializeOptions): Promise<Prepared | undefined> {
  const before = await readPrepared(table, task.id);
  const isOfThisRun = before?.generation === task.generation && before.consistentPoint !== null;
  return isOfThisRun ? before : undefined;
}

/**
 * What the opposite task has copied in full came from there: in the first run it gets incremental only, and so do
 * tables that the opposite task has brought here while this one ran.
 */
async function notCopiedByOpposite(
  source: pg.Client,
  task: Task,
  tables: readonly PreparedTable[],
): Promise<PreparedTable[]> {
  const copied = await readFinished(source, oppositeTask(task.id));
  return tables.filter((table) => (task.generation > 1 && !table.added) || !copied.has(relationOf(table)));
}

async function unfinished(
  destination: pg.Client,
  task: Task,
  config: TaskConfig,
  tables: readonly PreparedTable[],
): Promise<PreparedTable[]> {
  const finished = await readFinished(destination, task.id, task.generation);
  const { table: named } = mappingOf(config.objects.mapping);
  return tables.filter((table) => !finished.has(relationOf(named(table))));
}

/**
 * Publication and slot of the task itself, and what holds the snapshot of the copy and the locks on what is read (of
 * partitioned tables the leaves). The snapshot is the slot's, or one of now where the slot was there.
 */
async function prepareOwn(
  options: InitializeOptions,
  source: pg.Client,
  tables: readonly PreparedTable[],
  full: readonly PreparedTable[],
): Promise<{ prepared: Prepared; holder: SnapshotHolder | undefined }> {
  const { task, config, table, signal, source: target } = options;
  const { id, generation } = task;
  let holder: SnapshotHolder | undefined;
  const hold = async (snapshot?: string): Promise<void> => {
    if (full.length === 0) return;
    const heaps = [...(await readHeaps(source, full)).values()].flat();
    const slot = snapshot === undefined ? undefined : { snapshot, now: source };
    holder = await SnapshotHolder.open(target, `pgtwin ${id} snapshot`, heaps, slot);
  };
  try {
    if (config.types.incremental) {
      const made = { table, source, target, task: id, generation, tables, signal, useSnapshot: hold };
      const { prepared } = await preparePublicationAndSlot(made);
      if (!holder) await hold();
      return { prepared, holder };
    }
    const identity = await identifySystem(target, `pgtwin ${id}`);
    const at = options.clock.now().toISOString();
    await savePrepared(table, id, { generation, slot: null, ...identity, consistentPoint: null, at }, tables);
    await hold();
    return { prepared: (await readPrepared(table, id))!, holder };
  } catch (error) {
    await holder?.close();
    throw error;
  }
}

const notStarted: readonly string[] = ['NotConfigured', 'Prechecking', 'PrecheckFailed', 'PrecheckPassed'];

/**
 * The opposite task's publication and slot, if it is going to start: made before the copy, so that no change of the
 * users on the destination is missed, whenever the opposite task starts. One that has started has its own.
 */
async function prepareOpposite(
  options: InitializeOptions,
  source: pg.Client,
  destination: pg.Client,
  tables: readonly PreparedTable[],
): Promise<void> {
  const { opposite, table, signal } = options;
  if (!opposite?.config.types.incremental) return;
  const { task, config } = opposite;
  if (!notStarted.includes(task.state)) return;
  if (task.state !== 'PrecheckPassed' && !task.autoStart) return;
  const preparation = { task: task.id, generation: task.generation + 1, shards: options.shards, lanes: 0 };
  await prepareHelpers(destination, source, preparation);
  // Keys of tables that were just made are not built yet: they will be the source's.
  const there = tablesThere(options.config, tables);
  const keyed = await withKeys(destination, await resolveTables(destination, config), config, there);
  const shared = await withSharedColumns(destination, source, config, keyed);
  const reverse = await withShardsOfPair({ ...options, ...opposite }, shared);
  await preparePublicationAndSlot({
    table,
    source: destination,
    target: options.destination,
    task: task.id,
    generation: preparation.generation,
    tables: reverse,
    signal,
  });
}

/** The tables and their keys by their names on the destination. */
function tablesThere({ objects }: TaskConfig, tables: readonly PreparedTable[]): PreparedTable[] {
  const { table: named, column } = mappingOf(objects.mapping);
  return tables.map((table) => ({ ...named(table), key: table.key.map((each) => column(table, each)) }));
}

/** Two tables, or two columns, may have come to the same name since the precheck. */
const checkNames = ({ objects }: TaskConfig, tables: readonly PreparedTable[]): void => {
  mapTables(
    mappingOf(objects.mapping),
    tables.map(({ schema, name, columns = [] }) => ({ schema, name, columns })),
  );
};

async function copyTables(
  options: InitializeOptions,
  over: {
    readonly open: (target: Target) => Promise<pg.Client>;
    readonly source: pg.Client;
    readonly destination: pg.Client;
    readonly holder: SnapshotHolder;
    readonly tables: readonly PreparedTable[];
    readonly keys: ReadonlyMap<string, readonly string[]>;
  },
): Promise<void> {
  const { task, config, table, clock, log, signal } = options;
  const { source, destination, holder, tables, keys } = over;
  const key = { task: task.id, generation: task.generation };
  const snapshot = await holder.export();
  // From here on nothing of former attempts can commit: what is there now is all that they left.
  const attempt = await beginAttempt(destination, key);
  await clearFailures(table, task.id);
  const planned = await planCopy({
    ...{ ...key, source, destination, tables, config, primaryKeys: keys },
    limits: task.limits?.full,
  });
  const { first, tables: plan } = keysFirst(planned);
  for (const sql of first) await destination.query(sql);
  log.info('copy starts', {
    ...key,
    attempt,
    tables: plan.length,
    merged: plan.filter((t) => t.merge).length,
  });

  const startedAt = clock.now().getTime();
  const builders = await Promise.all(Array.from({ length: BUILDERS }, () => over.open(options.destination)));
  await Promise.all(builders.map(makeRoomForIndexes));
  const run = new CopyRun({
    ...key,
    attempt,
    snapshot,
    tables: plan,
    parallelism: config.copyParallelism,
    ledger: destination,
    builders,
    table,
    queue: options.queue,
    queueUrl: options.copyQueueUrl,
    lost: holder.lost,
    copied: () => holder.close(),
    onProgress: (progress) => {
      const elapsedMs = clock.now().getTime() - startedAt;
      options.onProgress(copyStatus(progress, { elapsedMs, startBytes: 0 }), progress);
    },
    clock,
    log,
    signal,
  });
  const touching = setInterval(() => void holder.touch().catch(() => {}), TOUCH_MS);
  try {
    await run.run();
  } finally {
    clearInterval(touching);
  }
}
