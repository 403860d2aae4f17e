import pg from 'pg';
import { PgtwinError } from '../errors/pgtwin-error.ts';
import { translate } from './sqlstate.ts';

/** Where a database is and who logs in; the password comes from a secret store and is never logged. */
export type Target = {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  readonly tls: 'disable' | 'require' | 'verify-full';
};

/** What most code needs of a connection. */
export interface Queryable {
  // biome-ignore lint/suspicious/noExplicitAny: rows are typed where they are read
  query<R extends pg.QueryResultRow = any>(
    text: string,
    values?: readonly unknown[],
  ): Promise<pg.QueryResult<R>>;
}

/**
 * Every session that prints or reads values has these (design, section 2): text is only "as PostgreSQL wrote it"
 * under fixed settings. Times out nothing by itself; callers set statement and lock timeouts where they need them.
 */
export const fixedSettings: Readonly<Record<string, string>> = {
  DateStyle: 'ISO, YMD',
  IntervalStyle: 'postgres',
  extra_float_digits: '3',
  bytea_output: 'hex',
  TimeZone: 'UTC',
  xmlbinary: 'base64',
  xmloption: 'content',
  array_nulls: 'on',
  quote_all_identifiers: 'off',
  transform_null_equals: 'off',
  search_path: '',
  lc_monetary: 'C',
  row_security: 'off',
  standard_conforming_strings: 'on',
  // Nor may defaults of a database forbid to write, or make a wait for a lock an error.
  default_transaction_read_only: 'off',
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
};

/** The fixed settings as the `options` of a start-up packet (libpq syntax: a backslash before spaces). */
export const settingsOption = (more: Readonly<Record<string, string>> = {}): string =>
  Object.entries({ ...fixedSettings, ...more })
    .map(([name, value]) => `-c ${name}=${value.replaceAll('\\', '\\\\').replaceAll(' ', '\\ ')}`)
    .join(' ');

/** A connection that is quiet for so long is probed: what lies in between must not take it for dead. */
const KEEP_ALIVE_MS = 10_000;

export type ConnectOptions = {
  readonly application: string;
  readonly settings?: Readonly<Record<string, string>>;
  readonly connectTimeoutMs?: number;
  /** A statement that has no answer by then fails with `database-unreachable`: a silent network says nothing. */
  readonly queryTimeoutMs?: number;
};

/** What `pg` needs to connect; shared with the replication connection. */
export function clientConfig(target: Target, options: ConnectOptions): pg.ClientConfig {
  return {
    host: target.host,
    port: target.port,
    database: target.database,
    user: target.user,
    password: target.password,
    ssl: target.tls === 'disable' ? false : { rejectUnauthorized: target.tls === 'verify-full' },
    application_name: options.application,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 10_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    ...(options.queryTimeoutMs ? { query_timeout: options.queryTimeoutMs } : {}),
    options: settingsOption(options.settings),
    client_encoding: 'UTF8',
  } as pg.ClientConfig;
}

/** Opens a connection with fixed settings; errors are translated (`database-unreachable`, `login-failed`, ...). */
export async function connect(target: Target, options: ConnectOptions): Promise<pg.Client> {
  const client = new pg.Client({ ...clientConfig(target, options), types: textTypes });
  // A connection lost between queries is reported by the next query; without a listener it would end the process.
  client.on('error', () => {});
  try {
    await client.connect();
    return client;
  } catch (error) {
    await disconnect(client);
    throw translate(error, { host: target.host, port: target.port, database: target.database });
  }
}

const GOODBYE_MS = 1_000;

/** Closes a connection; one whose other end is silent is dropped. */
export async function disconnect(client: pg.Client): Promise<void> {
  const { stream } = (client as unknown as { connection: { stream: { destroy(): void } } }).connection;
  const timer = setTimeout(() => stream.destroy(), GOODBYE_MS);
  await client.end().catch(() => {});
  clearTimeout(timer);
}

const parserOf = pg.types.getTypeParser as (oid: number, format: 'text') => (value: string) => unknown;
const TEXT_ARRAY = 1009;
const NAME_ARRAY = 1003;
/** Values stay as PostgreSQL printed them, except the kinds our own helper tables use. */
const keepParsed = new Set([16, 20, 21, 23, 114, 3802]);
const textTypes: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number) => {
    if (oid === 20) return (value: string) => BigInt(value);
    if (oid === TEXT_ARRAY || oid === NAME_ARRAY) return parserOf(TEXT_ARRAY, 'text');
    return keepParsed.has(oid) ? parserOf(oid, 'text') : (value: string) => value;
  }) as pg.CustomTypesConfig['getTypeParser'],
};

/** Runs `work` on a connection of its own and closes it. */
export async function withClient<T>(
  target: Target,
  options: ConnectOptions,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = await connect(target, options);
  try {
    return await work(client);
  } catch (error) {
    if (error instanceof PgtwinError) throw error;
    throw translate(error, { host: target.host, port: target.port, database: target.database });
  } finally {
    await disconnect(client);
  }
}
