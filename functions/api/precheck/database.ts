import pg from 'pg';
import { clientConfig, type Target } from '../../../shared/postgres/connect.ts';
import { type Queryable, readRows } from '../../../shared/postgres/rows.ts';
import { translate } from '../../../shared/postgres/sqlstate.ts';
import type { Side } from '../../../shared/task/schema.ts';
import type { ServerIdentity } from '../connectivity.ts';

export type Role = 'source' | 'destination';

/** One database of a precheck. All items share its connections, two at most. */
export type CheckedDatabase = {
  readonly role: Role;
  readonly side: Side;
  readonly target: Omit<Target, 'password'>;
  readonly server: ServerIdentity;
  /** Rows of a query that is no work for one session. */
  rows<T>(sql: string, values?: unknown[]): Promise<T[]>;
  /** Work that needs one session. What it begins is rolled back. */
  session<T>(work: (client: Queryable) => Promise<T>): Promise<T>;
};

const CONNECTIONS = 2;
const STATEMENT_TIMEOUT = '60s';

/** Opens the connections of one database when they are first used; `close` ends them. */
export function openCheckedDatabase(input: {
  readonly role: Role;
  readonly side: Side;
  readonly target: Target;
  readonly server: ServerIdentity;
  readonly connectTimeoutMs: number;
}): { readonly database: CheckedDatabase; close(): Promise<void> } {
  const { role, side, server, connectTimeoutMs } = input;
  const { password: _password, ...target } = input.target;
  const pool = new pg.Pool({
    ...clientConfig(input.target, {
      application: 'pgtwin precheck',
      connectTimeoutMs,
      settings: { statement_timeout: STATEMENT_TIMEOUT, lock_timeout: '5s' },
    }),
    // The pool's own limit covers the wait for a free connection as well: items wait for each other here.
    connectionTimeoutMillis: 0,
    max: CONNECTIONS,
  });
  pool.on('error', () => {});
  // The pool listens to idle connections only: one that breaks in use would end the process.
  pool.on('connect', (client) => client.on('error', () => {}));
  const session = async <T>(work: (client: Queryable) => Promise<T>): Promise<T> => {
    const client = await pool.connect().catch((error: unknown) => {
      throw translate(error, { host: target.host, port: target.port });
    });
    try {
      return await work(client as Queryable);
    } catch (error) {
      throw translate(error);
    } finally {
      // Whatever an item tried is undone before the next one gets the session.
      const healthy = await client.query(/* sql */ `rollback`).then(
        () => true,
        () => false,
      );
      client.release(!healthy);
    }
  };
  return {
    database: {
      ...{ role, side, target, server, session },
      rows: <T>(sql: string, values: unknown[] = []) => session((client) => readRows<T>(client, sql, values)),
    },
    close: () => pool.end(),
  };
}
