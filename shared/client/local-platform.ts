import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, realpathSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Who uses a state folder, in its own words. */
export type Holder = { readonly pid?: number; readonly url?: string };
const ANSWER_MS = 2_000;

export const tokenFile = (folder: string): string => join(folder, 'api-token');

/** Where the platform of a folder (a real path) says who it is. A socket's path has at most 103 bytes on some systems. */
export function socketOf(folder: string): string {
  const name = createHash('sha256').update(folder).digest('hex').slice(0, 16);
  if (process.platform === 'win32') return `\\\\.\\pipe\\pgtwin-${name}`;
  const inside = join(folder, 'running.sock');
  return Buffer.byteLength(inside) < 100 ? inside : join(tmpdir(), `pgtwin-${name}.sock`);
}

/** Who holds a folder's socket; undefined if nobody does. One that does not answer in time is there all the same. */
export async function askHolder(socket: string): Promise<Holder | undefined> {
  const client = createConnection(socket);
  const timer = setTimeout(() => client.destroy(), ANSWER_MS);
  let text = '';
  try {
    await once(client, 'connect');
    client.setEncoding('utf8').on('data', (data) => {
      text += data;
    });
    await once(client, 'close');
    return JSON.parse(text) as Holder;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    return code === 'ECONNREFUSED' || code === 'ENOENT' ? undefined : {};
  } finally {
    clearTimeout(timer);
  }
}

/** Address and token of the local platform that runs on a folder; undefined if none does. */
export async function findLocalPlatform(
  folder: string,
): Promise<{ readonly url: string; readonly token: string } | undefined> {
  try {
    const path = realpathSync(folder);
    const url = (await askHolder(socketOf(path)))?.url;
    return url ? { url, token: readFileSync(tokenFile(path), 'utf8').trim() } : undefined;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES') return undefined;
    throw error;
  }
}
