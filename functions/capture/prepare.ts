import { laneOrigin } from '../../shared/copy/work.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { Queryable, Target } from '../../shared/postgres/connect.ts';
import { installHelperSchema } from '../../shared/postgres/helper-schema/install.ts';
import { originName, slotName } from '../../shared/postgres/names.ts';
import { codeOf, sqlstate } from '../../shared/postgres/sqlstate.ts';
import { zeroPosition } from '../../shared/stream/position.ts';
import { type Prepared, readPrepared, savePrepared } from '../../shared/task/prepared.ts';
import type { PreparedTable } from '../../shared/task/schema.ts';
import type { Table } from '../../shared/task/table.ts';
import { ensurePublications } from './publication.ts';
import { createSlot, dropSlot, identifySystem, type NewSlot, readSlot, type ServerIdentity } from './slot.ts';

/**
 * What a task needs in the databases before its stream can run, in the order of its steps. Each may be repeated after
 * a crash at any point: it looks at what is there, and brings it to what is wanted.
 */
export type Preparation = {
  readonly task: string;
  /** The run that this is for. */
  readonly generation: number;
  readonly shards: number;
  readonly lanes: number;
};

const progressSql = /* sql */ `
  insert into pgtwin.apply_progress as p (task, shard, generation, epoch, position, end_lsn)
  select $1, shard, $2, 0, $3, '0/0' from generate_series(0, $4::int - 1) shard
  on conflict (task, shard) do update
     set generation = excluded.generation, epoch = 0, position = excluded.position, end_lsn = '0/0',
         source_time = null, seen = null, own = null, resend_epoch = 0, transactions = 0, changes = 0, conflicts = 0
   where p.generation < excluded.generation`;

/**
 * Helper schema on both sides, the heartbeat's row on the source, on the destination the progress rows (set back by a
 * new generation) and origins. Gives notes on what falls back to what.
 */
export async function prepareHelpers(
  source: Queryable,
  destination: Queryable,
  { task, generation, shards, lanes }: Preparation,
): Promise<string[]> {
  await installHelperSchema(source, task, 'source');
  await installHelperSchema(destination, task, 'destination');
  await source.query(/* sql */ `insert into pgtwin.heartbeat (task) values ($1) on conflict do nothing`, [
    task,
  ]);
  await destination.query(progressSql, [task, generation, zeroPosition, shards]);
  await destination.query(/* sql */ `delete from pgtwin.copy_chunk where task = $1 and generation < $2`, [
    task,
    generation,
  ]);
  const names = [
    ...Array.from({ length: shards }, (_, n) => originName(task, n)),
    ...Array.from({ length: lanes }, (_, n) => laneOrigin(task, n)),
  ];
  return createOrigins(destination, names);
}

export const noOriginsNote =
  'The account may not use replication origins: the opposite capture reads the applied rows and drops them itself. That is slower; nothing else changes.';

/** Origins are a saving, not a need: without them the other capture drops the rows itself. */
async function createOrigins(client: Queryable, names: readonly string[]): Promise<string[]> {
  try {
    await client.query(
      /* sql */ `select pg_replication_origin_create(name) from unnest($1::text[]) name
                  where not exists (select from pg_replication_origin where roname = name)`,
      [names],
    );
    return [];
  } catch (error) {
    if (codeOf(error) === sqlstate.duplicateObject) return [];
    if (codeOf(error) !== sqlstate.insufficientPrivilege) throw error;
    return [noOriginsNote];
  }
}

/** Frees what copy lanes took: servers have room for few origins. */
export async function dropLaneOrigins(client: Queryable, task: string, lanes: number): Promise<void> {
  const names = Array.from({ length: lanes }, (_, n) => laneOrigin(task, n));
  await client
    .query(
      /* sql */ `select pg_replication_origin_drop(roname) from pg_replication_origin where roname = any($1)`,
      [names],
    )
    .catch((error: unknown) => {
      const state = codeOf(error);
      // Not ours to use, or a worker is about to end: release tries again.
      if (state !== sqlstate.insufficientPrivilege && state !== sqlstate.objectInUse) throw error;
    });
}

export type SlotReady = {
  readonly prepared: Prepared;
  /** True: `useSnapshot` has run with the slot's own snapshot. */
  readonly fresh: boolean;
};

/**
 * Publications, committed, and then the slot: changes from before the publication would be an error on 15 and silently
 * missing on 18. A slot that this generation has already is kept (a crash; or the opposite task made it when it
 * started); one of a former generation is dropped. The slot's name, the server's identity and the list of tables are
 * stored for the stream.
 */
export async function preparePublicationAndSlot(options: {
  readonly table: Table;
  readonly source: Queryable;
  readonly target: Target;
  readonly task: string;
  readonly generation: number;
  readonly tables: readonly PreparedTable[];
  readonly signal?: AbortSignal | undefined;
  readonly useSnapshot?: ((snapshot: string) => Promise<void>) | undefined;
  readonly now?: () => Date;
}): Promise<SlotReady> {
  const { table, source, target, task, generation, tables, signal, now = () => new Date() } = options;
  const slot = slotName(task);
  const application = `pgtwin ${task}`;
  const added = await ensurePublications(source, task, tables);

  const stored = await readPrepared(table, task);
  const identity = await identifySystem(target, application);
  if (stored && stored.generation !== generation) await dropSlot(source, slot);
  else await refuseLostSlot(source, stored, identity);
  const at = now().toISOString();
  const known = stored?.generation === generation ? stored.consistentPoint : null;
  // Before the slot is made: from now on one that is found is known to be of this generation.
  await savePrepared(table, task, { generation, slot, ...identity, consistentPoint: known, at }, tables);

  let made: NewSlot | undefined;
  if ((await readSlot(source, slot)) === undefined) {
    await source.query(slotXminSql, [task]);
    const { useSnapshot } = options;
    const use = useSnapshot && ((snapshot: string) => orDropSlot(source, slot, useSnapshot(snapshot)));
    made = await createSlot(target, { slot, application, signal, use });
  }
  if (!made) {
    const there = await readSlot(source, slot);
    if (!there || there.lost) throw new PgtwinError('slot-lost', { task, slot });
    // The slot decodes each change with the publication of its time.
    if (added) await passOlderTransactions(source, signal);
  }
  const consistentPoint = made?.consistentPoint ?? known ?? (await readSlot(source, slot))?.confirmed ?? null;
  await savePrepared(table, task, { generation, slot, ...identity, consistentPoint, at }, tables);
  const prepared = await readPrepared(table, task);
  return { prepared: prepared!, fresh: made !== undefined };
}

/** A slot whose snapshot could not be used is made anew: what it has may not fit what will be copied. */
async function orDropSlot(source: Queryable, slot: string, used: Promise<void>): Promise<void> {
  await used.catch(async (error: unknown) => {
    await dropSlot(source, slot);
    throw error;
  });
}

// Before the slot: what has ended now has ended when the slot is made, also if we crash before we could note it.
const slotXminSql = /* sql */ `
  update pgtwin.task set slot_xmin = pg_snapshot_xmin(pg_current_snapshot())::text
   where task = $1 and role = 'source'`;

/** A slot that was there in this generation is never made anew: tables copied since would miss what it had. */
async function refuseLostSlot(
  source: Queryable,
  stored: Prepared | undefined,
  identity: ServerIdentity,
): Promise<void> {
  if (!stored?.slot || stored.consistentPoint === null) return;
  if (stored.systemId !== identity.systemId)
    throw new PgtwinError('server-identity-changed', {
      detail: 'The source is another server than the one the task was prepared on (its system id differs).',
    });
  if ((await readSlot(source, stored.slot)) === undefined)
    throw new PgtwinError('slot-lost', { detail: `Slot ${stored.slot} is not there any more.` });
}

const PASS_PAUSE_MS = 100;

/**
 * Waits until every transaction that may have written before the publication got its new tables has ended: what it
 * wrote there is not in the stream, so the copy's snapshot has to show it.
 */
async function passOlderTransactions(source: Queryable, signal: AbortSignal | undefined): Promise<void> {
  const { rows } = await source.query<{ next: string }>(
    /* sql */ `select pg_snapshot_xmax(pg_current_snapshot())::text as next`,
  );
  for (;;) {
    signal?.throwIfAborted();
    const passed = await source.query<{ passed: boolean }>(
      /* sql */ `select pg_snapshot_xmin(pg_current_snapshot())::text::numeric >= $1::numeric as passed`,
      [rows[0]!.next],
    );
    if (passed.rows[0]!.passed) return;
    await new Promise((resume) => setTimeout(resume, PASS_PAUSE_MS));
  }
}
