import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { askHolder, type Holder, socketOf, tokenFile } from '../../shared/client/local-platform.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';

/** The folder of a local platform: its table, secrets and API token. One platform uses it at a time. */
export type StateFolder = {
  readonly path: string;
  readonly token: string;
  /** Told to whoever tries to start a second platform here. */
  serves(url: string): void;
  release(): void;
};

/** Makes or reuses the folder; throws `local-server-failed` that names the platform that uses it. */
export async function openStateFolder(wanted: string): Promise<StateFolder> {
  mkdirSync(wanted, { recursive: true, mode: 0o700 });
  const path = realpathSync(wanted);
  const about = { pid: process.pid, url: '' };
  const lock = await takeLock(socketOf(path), path, () => JSON.stringify(about));
  return {
    path,
    token: readToken(tokenFile(path)),
    serves(url) {
      about.url = url;
    },
    release: () => void lock.close(),
  };
}

/** Made once; whoever may read the file may do everything. */
function readToken(file: string): string {
  try {
    writeFileSync(file, `${randomBytes(24).toString('base64url')}\n`, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const token = readFileSync(file, 'utf8').trim();
  if (token.length >= 16) return token;
  throw new PgtwinError('local-server-failed', {
    detail: `${file} holds no API token; remove the file, and a new one is made.`,
  });
}

/**
 * Listens on a socket that says who we are. Unlike a file with a process number, it can't be mistaken for that of a
 * process that was killed: nobody answers there any more.
 */
async function takeLock(socket: string, folder: string, about: () => string): Promise<Server> {
  for (let attempt = 0; ; attempt++) {
    const server = createServer((client) => client.on('error', () => undefined).end(about()));
    server.unref();
    try {
      server.listen(socket);
      await once(server, 'listening');
      return server;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || attempt > 2) throw error;
    }
    const holder = await askHolder(socket);
    if (holder !== undefined)
      throw new PgtwinError('local-server-failed', {
        detail: `A platform already runs on ${folder}${inWords(holder)}: stop it first, or name another folder in PGTWIN_HOME.`,
      });
    rmSync(socket, { force: true });
  }
}

const inWords = ({ pid, url }: Holder): string =>
  pid === undefined ? '' : ` (process ${pid}${url ? `, ${url}` : ''})`;
