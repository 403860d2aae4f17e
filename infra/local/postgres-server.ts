import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { findPostgres, type ServerUser } from './postgres-binaries.ts';
import {
  hasCluster,
  initCluster,
  ownFolder,
  reachableDataDir,
  readFacts,
  writeFacts,
  writeSettings,
} from './postgres-cluster.ts';
import {
  endFormerServer,
  freePort,
  launchPostgres,
  type PostgresProcess,
  type StopMode,
} from './postgres-process.ts';

export type PostgresServerOptions = {
  /** A folder with `initdb` and `postgres`; default: the npm package for this platform (PostgreSQL 18). */
  readonly binDir?: string | undefined;
  readonly dataDir: string;
  /** Default: the port of the last start on this folder if it is free, else a free one. */
  readonly port?: number | undefined;
  /** Server settings on top of pgtwin's defaults. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Keeps the data folder when the server stops. Default false: it is removed. */
  readonly persistent?: boolean;
};

export type PostgresServer = {
  /** Superuser, database `postgres`, over TCP. Holds the password: not for logs. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Give it as `host` to connect over the Unix socket. */
  readonly socketDir: string;
  readonly user: string;
  readonly password: string;
  /** As the server prints it: `18.4`. */
  readonly version: string;
  readonly major: number;
  readonly dataDir: string;
  /** Default `fast`. Removes the data folder unless the server is persistent. */
  stop(mode?: StopMode): Promise<void>;
  /** On the same port, with the same data; `immediate` lets the server recover as after a crash. */
  restart(mode?: StopMode): Promise<void>;
};

const defaultSettings: Readonly<Record<string, string>> = {
  wal_level: 'logical',
  max_replication_slots: '100',
  max_wal_senders: '100',
  max_connections: '200',
  max_worker_processes: '24',
  max_logical_replication_workers: '16',
  track_commit_timestamp: 'on',
};

/** Up to 17 the number of slots is that of the origins, too; 18 has a setting of its own for them. */
const withOrigins = (major: number, settings: Readonly<Record<string, string>>): Record<string, string> =>
  major >= 18
    ? { max_active_replication_origins: settings['max_replication_slots'] ?? '10', ...settings }
    : settings;

/**
 * Starts a PostgreSQL server with nothing installed but npm packages, on loopback and a Unix socket. It ends with
 * this process, however that ends; after that, the same persistent folder starts again with port and password kept.
 */
export async function startPostgres(options: PostgresServerOptions): Promise<PostgresServer> {
  const binaries = await findPostgres(options.binDir);
  const dataDir = await reachableDataDir(options.dataDir, binaries.user);
  const settings = withOrigins(binaries.major, { ...defaultSettings, ...options.settings });
  if (!hasCluster(dataDir)) await initCluster(binaries, dataDir, { sync: settings['fsync'] !== 'off' });
  await ownFolder(dataDir, binaries.user);
  const facts = await readFacts(dataDir);
  await endFormerServer(dataDir, facts.owner);

  const socketDir = await makeSocketDir(binaries.user);
  const disposable = options.persistent ? [socketDir] : [socketDir, dataDir];
  const launchOn = async (port: number): Promise<PostgresProcess> => {
    await writeSettings(dataDir, {
      ...settings,
      listen_addresses: '127.0.0.1',
      port: String(port),
      unix_socket_directories: socketDir,
    });
    return await launchPostgres({ binaries, dataDir, disposable });
  };
  const { server, port } = await launchOnFreePort(launchOn, options.port, facts.port).catch(async (error) => {
    for (const folder of disposable) await rm(folder, { recursive: true, force: true });
    throw error;
  });
  await writeFacts(dataDir, { ...facts, port, owner: process.pid }, binaries.user);

  let current = server;
  return {
    url: `postgres://${facts.user}:${facts.password}@127.0.0.1:${port}/postgres`,
    host: '127.0.0.1',
    port,
    socketDir,
    user: facts.user,
    password: facts.password,
    version: binaries.version,
    major: binaries.major,
    dataDir,
    async stop(mode = 'fast') {
      await current.stop(mode);
      for (const folder of disposable) await rm(folder, { recursive: true, force: true });
    },
    async restart(mode = 'fast') {
      await current.stop(mode);
      current = await launchOn(port);
    },
  };
}

/** A port that was free a moment ago may be taken now: then the next one. A port that was asked for has no next. */
async function launchOnFreePort(
  launchOn: (port: number) => Promise<PostgresProcess>,
  asked: number | undefined,
  former: number | undefined,
): Promise<{ server: PostgresProcess; port: number }> {
  const candidates = asked === undefined ? [former, undefined, undefined, undefined] : [asked];
  let taken: unknown;
  for (const candidate of candidates) {
    const port = candidate ?? (await freePort());
    try {
      return { server: await launchOn(port), port };
    } catch (error) {
      if (!(error instanceof PgtwinError && error.facts['portTaken'] === true)) throw error;
      taken = error;
    }
  }
  throw taken;
}

/** A socket's path has at most 107 bytes (103 on macOS), so the folder is short and apart from the data. */
async function makeSocketDir(user: ServerUser): Promise<string> {
  const parent = tmpdir().length > 60 ? '/tmp' : tmpdir();
  const folder = await mkdtemp(join(parent, 'pgtwin-'));
  if (user) await chown(folder, user.uid, user.gid);
  return folder;
}
