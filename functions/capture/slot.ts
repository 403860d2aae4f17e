import pg from 'pg';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { clientConfig, type Queryable, type Target } from '../../shared/postgres/connect.ts';
import { ident } from '../../shared/postgres/ident.ts';
import { codeOf, sqlstate, translate } from '../../shared/postgres/sqlstate.ts';

export type ServerIdentity = { readonly systemId: string; readonly timeline: number };
export type NewSlot = ServerIdentity & {
  /** From here on the slot has everything. */
  readonly consistentPoint: string;
};

/** A connection of the replication protocol (manual, 53.4), which speaks its commands and simple SQL. */
async function withReplication<T>(
  target: Target,
  application: string,
  signal: AbortSignal | undefined,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const config = { ...clientConfig(target, { application }), replication: 'database' };
  const client = new pg.Client(config as pg.ClientConfig);
  client.on('error', () => {});
  // Making a slot waits for all transactions that write at this moment: only cutting the connection ends that.
  const cut = (): void =>
    (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
  signal?.addEventListener('abort', cut);
  try {
    signal?.throwIfAborted();
    await client.connect();
    return await work(client);
  } catch (error) {
    signal?.throwIfAborted();
    throw codeOf(error) === sqlstate.duplicateObject
      ? error
      : translate(error, { host: target.host, port: target.port });
  } finally {
    signal?.removeEventListener('abort', cut);
    await client.end().catch(() => {});
  }
}

async function identify(client: pg.Client): Promise<ServerIdentity> {
  const { rows } = await client.query('IDENTIFY_SYSTEM');
  const row = rows[0] as { systemid: string; timeline: number | string };
  return { systemId: row.systemid, timeline: Number(row.timeline) };
}

/** System id and timeline: positions compare only within one such pair. */
export const identifySystem = (target: Target, application: string): Promise<ServerIdentity> =>
  withReplication(target, application, undefined, identify);

/**
 * Makes a logical slot for pgoutput. `use` gets the slot's exported snapshot, which lives until `use` returns: any
 * further command on this connection would end it. Undefined: somebody else was faster, the slot is there.
 */
export async function createSlot(
  target: Target,
  options: {
    readonly slot: string;
    readonly application: string;
    readonly signal?: AbortSignal | undefined;
    readonly use?: ((snapshot: string) => Promise<void>) | undefined;
  },
): Promise<NewSlot | undefined> {
  const { slot, application, signal, use } = options;
  try {
    return await withReplication(target, application, signal, async (client) => {
      const identity = await identify(client);
      const snapshot = use ? 'export' : 'nothing';
      const { rows } = await client.query(
        `CREATE_REPLICATION_SLOT ${ident(slot)} LOGICAL pgoutput (SNAPSHOT '${snapshot}')`,
      );
      const made = rows[0] as { consistent_point: string; snapshot_name: string | null };
      if (use && made.snapshot_name) await use(made.snapshot_name);
      return { ...identity, consistentPoint: made.consistent_point };
    });
  } catch (error) {
    if (codeOf(error) === sqlstate.duplicateObject) return undefined;
    throw error;
  }
}

export type SlotState = {
  readonly lost: boolean;
  readonly activePid: number | null;
  /** What the slot still has starts here. */
  readonly confirmed: string | null;
};

const slotSql = /* sql */ `
  select active_pid, wal_status, confirmed_flush_lsn::text as confirmed, plugin = 'pgoutput' as ours
    from pg_replication_slots where slot_name = $1 and database = current_database()`;

/** Undefined: this database has no slot of that name. */
export async function readSlot(client: Queryable, slot: string): Promise<SlotState | undefined> {
  const { rows } = await client.query<{
    active_pid: number | null;
    wal_status: string | null;
    confirmed: string | null;
    ours: boolean;
  }>(slotSql, [slot]);
  const row = rows[0];
  if (!row) return undefined;
  if (!row.ours)
    throw new PgtwinError('slot-lost', { detail: `Slot ${slot} exists with another output plugin.`, slot });
  return { lost: row.wal_status === 'lost', activePid: row.active_pid, confirmed: row.confirmed };
}

const DROP_TRIES = 100;
const DROP_PAUSE_MS = 50;

/** Drops a slot, after ending the walsender that reads it. Safe to repeat. */
export async function dropSlot(client: Queryable, slot: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await client.query(
        /* sql */ `select pg_terminate_backend(active_pid) from pg_replication_slots
                    where slot_name = $1 and active_pid is not null`,
        [slot],
      );
      await client.query(
        /* sql */ `select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1`,
        [slot],
      );
      return;
    } catch (error) {
      if (codeOf(error) === sqlstate.undefinedObject) return;
      // The walsender takes a moment to end.
      if (codeOf(error) !== sqlstate.objectInUse || attempt >= DROP_TRIES) throw error;
      await new Promise((resume) => setTimeout(resume, DROP_PAUSE_MS));
    }
  }
}
