import type pg from 'pg';
import type { Connectivity } from '../../shared/client/contract.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { connect, type Queryable, type Target } from '../../shared/postgres/connect.ts';
import { problemOf } from './problem.ts';

/** Which server and database a connection ended up at. */
export type ServerIdentity = {
  readonly systemId: string;
  readonly databaseOid: string;
  /** When the server process started, to the microsecond: tells a server from its physical copy. */
  readonly startedAt: string;
  readonly inRecovery: boolean;
  /** As `server_version_num`: 180004. */
  readonly versionNumber: number;
  readonly version: string;
  readonly encrypted: boolean;
};

export const OLDEST_SERVER = 150000;

const identitySql = /* sql */ `
select (select system_identifier from pg_control_system())::text as "systemId",
  (select oid from pg_database where datname = current_database())::text as "databaseOid",
  extract(epoch from pg_postmaster_start_time())::text as "startedAt",
  pg_is_in_recovery() as "inRecovery",
  current_setting('server_version_num')::int as "versionNumber",
  current_setting('server_version') as version,
  coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false) as encrypted`;

/** Reads who the server is; every account may. */
export async function readIdentity(client: Queryable): Promise<ServerIdentity> {
  const { rows } = await client.query<ServerIdentity>(identitySql);
  if (!rows[0]) throw new PgtwinError('internal', { detail: 'the server has no identity' });
  return rows[0];
}

/** Two names of one database: of the same server, or of it and a standby of it. */
export const isSameDatabase = (one: ServerIdentity, other: ServerIdentity): boolean =>
  one.systemId === other.systemId &&
  one.databaseOid === other.databaseOid &&
  (one.startedAt === other.startedAt || one.inRecovery || other.inRecovery);

const certificateCodes = /^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_TLS|ERR_SSL|HOSTNAME_MISMATCH)/;
const tlsTexts = /does not support SSL|SSL connection|no encryption|SSL off|SSL negotiation/i;

/** Says which field of an endpoint a failed login is about. */
export function fieldOfFailure(error: PgtwinError): keyof Target {
  const cause = error.cause as { code?: unknown; message?: unknown } | undefined;
  if (certificateCodes.test(String(cause?.code)) || tlsTexts.test(String(cause?.message))) return 'tls';
  if (cause?.code === '28P01') return 'password';
  if (cause?.code === '28000') return 'user';
  if (cause?.code === '3D000') return 'database';
  return 'host';
}

/** Opens a connection for the API, and tells TLS failures from the others. Errors carry the field. */
export async function open(
  target: Target,
  options: { field: string; timeoutMs: number; settings?: Readonly<Record<string, string>> },
): Promise<pg.Client> {
  try {
    return await connect(target, {
      application: 'pgtwin api',
      connectTimeoutMs: options.timeoutMs,
      settings: { statement_timeout: '30s', lock_timeout: '5s', ...options.settings },
    });
  } catch (thrown) {
    if (!(thrown instanceof PgtwinError)) throw thrown;
    const name = fieldOfFailure(thrown);
    const code = name === 'tls' ? 'tls-failed' : thrown.code;
    const detail =
      name === 'tls'
        ? `TLS mode ${target.tls} does not work with ${target.host}:${target.port}: ${messageOf(thrown.cause)}.`
        : thrown.message;
    throw new PgtwinError(
      code,
      { ...thrown.facts, detail, field: `${options.field}.${name}` },
      { cause: thrown.cause },
    );
  }
}

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

/** Logs in and reads who the server is. Throws as `open`, and `server-version-unsupported`. */
export async function visit(target: Target, field: string, timeoutMs: number): Promise<ServerIdentity> {
  const client = await open(target, { field, timeoutMs });
  try {
    const identity = await readIdentity(client);
    if (identity.versionNumber < OLDEST_SERVER)
      throw new PgtwinError('server-version-unsupported', {
        field: `${field}.host`,
        detail: `The server at ${target.host}:${target.port} is PostgreSQL ${identity.version}; 15 is the oldest supported.`,
      });
    return identity;
  } finally {
    await client.end().catch(() => {});
  }
}

/** What a test of one side answers; a failure is part of the answer. */
export async function testConnection(
  readTarget: () => Promise<Target>,
  field: string,
  timeoutMs: number,
): Promise<Connectivity> {
  const start = performance.now();
  const milliseconds = () => Math.round(performance.now() - start);
  try {
    const { version, encrypted } = await visit(await readTarget(), field, timeoutMs);
    return { ok: true, milliseconds: milliseconds(), serverVersion: version, encrypted };
  } catch (error) {
    return { ok: false, milliseconds: milliseconds(), problem: problemOf(error) };
  }
}
