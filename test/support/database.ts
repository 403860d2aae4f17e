import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { ident, literal } from '../../shared/postgres/ident.ts';
import type { TestServer } from './global-postgres.ts';
import { until } from './wait.ts';

export type TestDatabaseOptions = {
  /** SQL to run first, as the account. */
  readonly schema?: string;
  /**
   * Who `url` and `query` are: `superuser` (default), or `plain`, a role that owns the database and has LOGIN and
   * REPLICATION, nothing more.
   */
  readonly account?: 'superuser' | 'plain';
  /** Another server than the run's: one that the test may stop. */
  readonly server?: TestServer;
  /** Closing throws if a slot, a publication, an event trigger or the schema `pgtwin` was left. Default false. */
  readonly mustEndClean?: boolean;
};

export type TestDatabase = AsyncDisposable & {
  readonly side: 'a' | 'b';
  readonly server: TestServer;
  readonly name: string;
  readonly user: string;
  readonly password: string;
  /** Of the account, over TCP. */
  readonly url: string;
  /** The same database as superuser. */
  readonly superuserUrl: string;
  /** The client behind `query`. */
  readonly client: pg.Client;
  /** As the account; several statements are allowed where there are no parameters. */
  query<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    sql: string,
    parameters?: readonly unknown[],
  ): Promise<pg.QueryResult<Row>>;
  /** The rows of `query`. */
  rows<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    sql: string,
    parameters?: readonly unknown[],
  ): Promise<Row[]>;
  /** The rows, as superuser in this database. */
  superuserRows<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    sql: string,
    parameters?: readonly unknown[],
  ): Promise<Row[]>;
  /** One more connection of the account (for concurrent transactions); closed with the database. */
  connect(): Promise<pg.Client>;
  /** What pgtwin left in the database, in words; `[]` if nothing. */
  leftovers(): Promise<string[]>;
};

/** A database with a unique name on one of the run's two servers; disposing it drops it and what depends on it. */
export async function openDatabase(
  side: 'a' | 'b',
  {
    schema,
    account = 'superuser',
    mustEndClean = false,
    server = inject('postgres')[side],
  }: TestDatabaseOptions = {},
): Promise<TestDatabase> {
  const name = `test_${side}_${randomBytes(6).toString('hex')}`;
  const plain =
    account === 'plain' ? { user: `${name}_owner`, password: randomBytes(9).toString('hex') } : undefined;
  const { user, password } = plain ?? server;

  await asSuperuser(server, async (superuser) => {
    if (plain) {
      await superuser.query(
        /* sql */ `create role ${ident(user)} login replication password ${literal(password)}`,
      );
    }
    await superuser.query(/* sql */ `create database ${ident(name)} owner ${ident(user)} template template0`);
  });

  const url = urlOf(server, user, password, name);
  const superuserUrl = urlOf(server, server.user, server.password, name);
  const clients: pg.Client[] = [];
  const connect = async (to = url): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: to, application_name: 'pgtwin test' });
    // A test that cuts connections cuts this one as well; the next query will say so.
    client.on('error', () => undefined);
    await client.connect();
    clients.push(client);
    return client;
  };
  /** The same client each time, until a server that was restarted ends it. */
  const lasting = (to: string, first?: pg.Client): (() => Promise<pg.Client>) => {
    let current = first && Promise.resolve(first);
    const forget = (): void => {
      current = undefined;
    };
    first?.once('end', forget);
    return async () => {
      if (current) return current;
      current = connect(to);
      const opened = await current;
      opened.once('end', forget);
      return opened;
    };
  };
  const superuser = lasting(superuserUrl);
  const superuserRows = async <Row extends pg.QueryResultRow>(
    sql: string,
    parameters: readonly unknown[] = [],
  ): Promise<Row[]> => {
    return (await (await superuser()).query<Row>(sql, [...parameters])).rows;
  };

  const close = async (): Promise<void> => {
    await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
    const left = mustEndClean ? await leftoversOf(superuserUrl) : [];
    await drop(server, name, plain?.user);
    if (left.length > 0) throw new Error(`Left behind in database ${name}: ${left.join(', ')}`);
  };

  try {
    const client = await connect();
    if (schema) await client.query(schema);
    const asAccount = lasting(url, client);
    const query: TestDatabase['query'] = async (sql, parameters) => {
      const opened = await asAccount();
      return parameters ? opened.query(sql, [...parameters]) : opened.query(sql);
    };
    return {
      side,
      server,
      name,
      user,
      password,
      url,
      superuserUrl,
      client,
      query,
      rows: async <Row extends pg.QueryResultRow>(sql: string, parameters?: readonly unknown[]) =>
        (await query<Row>(sql, parameters)).rows,
      superuserRows,
      connect: () => connect(),
      leftovers: () => leftoversOf(superuserUrl),
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
}

const urlOf = (server: TestServer, user: string, password: string, database: string): string =>
  `postgres://${user}:${password}@${server.host}:${server.port}/${database}`;

async function asSuperuser<T>(server: TestServer, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(server.url);
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

const leftoversQuery = /* sql */ `
  select 'slot ' || slot_name as what from pg_replication_slots where database = current_database()
  union all select 'publication ' || pubname from pg_publication
  union all select 'event trigger ' || evtname from pg_event_trigger
  union all select 'schema ' || nspname from pg_namespace where nspname = 'pgtwin'
  order by what`;

async function leftoversOf(superuserUrl: string): Promise<string[]> {
  const client = new pg.Client(superuserUrl);
  await client.connect();
  try {
    return (await client.query<{ what: string }>(leftoversQuery)).rows.map(({ what }) => what);
  } finally {
    await client.end();
  }
}

/** Slots first (a database that has one can't be dropped), and their walsenders before them. */
async function drop(server: TestServer, name: string, role: string | undefined): Promise<void> {
  await asSuperuser(server, async (superuser) => {
    await superuser.query(/* sql */ `alter database ${ident(name)} allow_connections false`);
    await until(`the slots of ${name} to be dropped`, async (saw) => {
      await superuser.query(
        /* sql */ `
        select pg_terminate_backend(pid) from pg_stat_activity where datname = $1
        union all
        select pg_terminate_backend(active_pid) from pg_replication_slots
        where database = $1 and active_pid is not null`,
        [name],
      );
      await superuser
        .query(
          /* sql */ `
          select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = $1 and not active`,
          [name],
        )
        .catch((error: { code?: string }) => {
          // 55006: a walsender was faster; the next round ends it. 42704: its owner dropped it meanwhile.
          if (error.code !== '55006' && error.code !== '42704') throw error;
        });
      const { rows } = await superuser.query(
        /* sql */ `select slot_name, active_pid from pg_replication_slots where database = $1`,
        [name],
      );
      saw(rows);
      return rows.length === 0;
    });
    await superuser.query(/* sql */ `drop database ${ident(name)} with (force)`);
    if (role) await superuser.query(/* sql */ `drop role ${ident(role)}`);
  });
}
