import type pg from 'pg';
import { connect, type Target } from '../../shared/postgres/connect.ts';

/** The two connections that chunks are copied over, and what the account may do on the destination. */
export type CopySession = {
  readonly source: pg.Client;
  readonly destination: pg.Client;
  /** May set session_replication_role: triggers and foreign keys are then left to the source. */
  readonly replica: boolean;
  /** May use replication origins: the other capture's server then drops the rows while decoding. */
  readonly origins: boolean;
  /** Ends both at once, whatever they are doing. */
  destroy(): void;
  close(): Promise<void>;
};

/** A worker that vanishes leaves a backend with locks behind: the server finds out within about a minute. */
const watchful = { tcp_keepalives_idle: '20', tcp_keepalives_interval: '10', tcp_keepalives_count: '4' };

const sourceSettings = {
  ...watchful,
  statement_timeout: '0',
  // Behind a session that waits for an exclusive lock we would wait for ever: it waits for the snapshot's holder.
  lock_timeout: '10000',
};
const destinationSettings = {
  ...watchful,
  statement_timeout: '0',
  lock_timeout: '0',
  // Lost chunks would be missed when their table is finished (shared/copy/ledger.ts): only that waits for the disk.
  synchronous_commit: 'off',
};

const abilitiesSql = /* sql */ `
  select has_parameter_privilege('session_replication_role', 'set') as replica,
         has_function_privilege('pg_catalog.pg_replication_origin_session_setup(text)', 'execute')
           and has_function_privilege('pg_catalog.pg_replication_origin_session_reset()', 'execute') as origins`;

/** Opens both connections; errors are translated. */
export async function openSession(
  source: Target,
  destination: Target,
  application: string,
): Promise<CopySession> {
  const opened = await Promise.allSettled([
    connect(source, { application, settings: sourceSettings }),
    connect(destination, { application, settings: destinationSettings }),
  ]);
  const clients = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const [from, to] = clients;
  const close = async (): Promise<void> => {
    await Promise.all(clients.map((client) => client.end().catch(() => {})));
  };
  try {
    for (const each of opened) if (each.status === 'rejected') throw each.reason;
    const { rows } = await to!.query<{ replica: boolean; origins: boolean }>(abilitiesSql);
    const { replica, origins } = rows[0]!;
    if (replica) await to!.query(/* sql */ `set session_replication_role = replica`);
    const destroy = (): void => {
      for (const client of clients) socketOf(client).destroy();
    };
    return { source: from!, destination: to!, replica, origins, destroy, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** In the middle of a COPY a connection can not be asked to end, only be cut. */
const socketOf = (client: pg.Client): { destroy(): void } =>
  (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream;
