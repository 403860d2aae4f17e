import type pg from 'pg';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { connect, type Queryable, type Target } from '../../shared/postgres/connect.ts';
import { literal, qualified } from '../../shared/postgres/ident.ts';
import { translate } from '../../shared/postgres/sqlstate.ts';
import type { TableName } from '../../shared/task/schema.ts';

/** Names in one LOCK statement. */
const LIST = 500;
/** Waiting for ACCESS SHARE means that a DDL statement runs on a table; it gets so much time. */
const LOCK_MS = 60_000;

/**
 * A transaction on the source that holds the snapshot of the copy, and ACCESS SHARE on the tables, so that none is
 * truncated, rewritten or dropped in the middle. As long as it lives, workers can use the snapshot; with its
 * connection the snapshot is lost.
 */
export class SnapshotHolder {
  readonly #client: pg.Client;
  readonly #lost: Promise<never>;
  #closing = false;
  /** Tables that were not locked, since the server's lock table has no room for them. */
  readonly unlocked: number;

  private constructor(client: pg.Client, unlocked: number) {
    this.#client = client;
    this.unlocked = unlocked;
    this.#lost = new Promise((_, reject) => {
      const lost = (): void => {
        if (this.#closing) return;
        const detail = 'The connection that held the snapshot of the copy was lost.';
        reject(new PgtwinError('database-unreachable', { detail }));
      };
      client.once('error', lost);
      client.once('end', lost);
    });
    this.#lost.catch(() => {});
  }

  /**
   * Takes over the snapshot that the slot's session exports at this moment, then locks the tables: making a slot waits
   * for all transactions that write, and one of them may wait for our locks. What may have been changed in between is
   * looked for afterwards: the snapshot would show a table that was truncated or rewritten as empty. Without a snapshot
   * one is taken behind the locks.
   */
  static async open(
    source: Target,
    application: string,
    tables: readonly TableName[],
    slot?: { readonly snapshot: string; readonly now: Queryable },
  ): Promise<SnapshotHolder> {
    const client = await connect(source, { application, settings: { statement_timeout: '0' } });
    try {
      await client.query(withoutTransactionTimeout);
      const most = await roomForLocks(client);
      const locked = tables.slice(0, most);
      await client.query(/* sql */ `begin isolation level repeatable read read only`);
      if (slot) await client.query(/* sql */ `set transaction snapshot ${literal(slot.snapshot)}`);
      await client.query(/* sql */ `set local lock_timeout = ${LOCK_MS}`);
      for (let n = 0; n < locked.length; n += LIST) {
        const names = locked.slice(n, n + LIST).map((t) => `only ${qualified(t.schema, t.name)}`);
        await client.query(/* sql */ `lock table ${names.join(', ')} in access share mode`);
      }
      if (slot) await refuseChanged(client, slot.now, locked);
      return new SnapshotHolder(client, tables.length - locked.length);
    } catch (error) {
      await client.end().catch(() => {});
      if (error instanceof PgtwinError) throw error;
      throw translate(error, { host: source.host, port: source.port });
    }
  }

  /** Gives the snapshot's name for workers; without the slot's it is one of now. */
  async export(): Promise<string> {
    const { rows } = await this.#client.query<{ name: string }>(
      /* sql */ `select pg_export_snapshot() as name`,
    );
    return rows[0]!.name;
  }

  /** Rejects when the snapshot is lost; never resolves. */
  get lost(): Promise<never> {
    return this.#lost;
  }

  /** Keeps the connection from looking idle to what is in between, and finds out whether it still is one. */
  async touch(): Promise<void> {
    await this.#client.query(/* sql */ `select`);
  }

  async close(): Promise<void> {
    this.#closing = true;
    await this.#client.end().catch(() => {});
  }
}

const shapesSql = /* sql */ `
  select format('%I.%I', n.nspname, c.relname) as name,
         concat_ws(' ', c.oid, c.relfilenode, string_agg(concat_ws(' ', a.attname, a.atttypid, a.atttypmod), ',' order by a.attnum)) as shape
    from unnest($1::text[], $2::text[]) asked(schema, name)
    join pg_catalog.pg_namespace n on n.nspname = asked.schema
    join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = asked.name
    left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
   group by n.nspname, c.relname, c.oid, c.relfilenode`;

/** Throws if a table that is locked now is not as the snapshot has it: the copy is tried again, with a new slot. */
async function refuseChanged(
  snapshot: Queryable,
  now: Queryable,
  tables: readonly TableName[],
): Promise<void> {
  const names = [tables.map((t) => t.schema), tables.map((t) => t.name)];
  const read = async (client: Queryable): Promise<Map<string, string>> => {
    const { rows } = await client.query<{ name: string; shape: string }>(shapesSql, names);
    return new Map(rows.map(({ name, shape }) => [name, shape]));
  };
  const [then, current] = [await read(snapshot), await read(now)];
  const changed = [...current.keys()].filter((name) => then.get(name) !== current.get(name));
  if (changed.length > 0)
    throw new PgtwinError('copy-failed', {
      detail: `While the copy began, ${changed[0]} was truncated or altered.`,
      table: changed[0],
    });
}

/** A setting of 17 and newer, which older servers refuse by name. */
const withoutTransactionTimeout = /* sql */ `
  select set_config(name, '0', false) from pg_settings where name = 'transaction_timeout'`;

/** The lock table is shared by all sessions and has a fixed size (manual, 20.12): half of it is left to others. */
async function roomForLocks(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ room: number }>(/* sql */ `
    select (current_setting('max_locks_per_transaction')::int
            * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int) / 2)::int
           as room`);
  return rows[0]!.room;
}
