import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PgtwinError } from '../errors/pgtwin-error.ts';
import type { SecretStore } from '../task/ports.ts';

const SCHEME = 'local:';
const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** Name to `iv, tag, cipher text` in base64. */
type Content = Record<string, string>;

/**
 * Passwords of the local platform, in a JSON file that only its owner can read, encrypted with AES-256-GCM under the
 * key in `<path>.key`: a copied state folder without that file gives nothing away. One process writes. References
 * are `local:<name>`. Throws `secret-unavailable`.
 */
export function openFileSecretStore(path: string): SecretStore {
  const keyPath = `${path}.key`;
  let writing: Promise<unknown> = Promise.resolve();

  const change = (edit: (content: Content, key: Buffer) => void): Promise<void> => {
    const mine = writing.then(async () => {
      await mkdir(dirname(path), { recursive: true });
      const key = await readKey(keyPath, true);
      const content = await readContent(path);
      edit(content, key);
      await replaceFile(path, JSON.stringify(content));
    });
    writing = mine.catch(() => undefined);
    return mine.catch((error: unknown) => {
      throw unavailable(`The file of secrets can not be written`, error);
    });
  };

  return {
    async get(reference) {
      const name = nameIn(reference);
      try {
        const sealed = (await readContent(path))[name];
        if (sealed === undefined) throw unavailable(`There is no secret ${reference}`);
        return unseal(sealed, await readKey(keyPath, false), name);
      } catch (error) {
        throw unavailable(`The secret ${reference} can not be read`, error);
      }
    },
    async put(name, password) {
      await change((content, key) => {
        content[name] = seal(password, key, name);
      });
      return `${SCHEME}${name}`;
    },
    async remove(reference) {
      const name = nameIn(reference);
      if ((await readContent(path))[name] === undefined) return;
      await change((content) => {
        delete content[name];
      });
    },
  };
}

function nameIn(reference: string): string {
  if (reference.startsWith(SCHEME)) return reference.slice(SCHEME.length);
  throw unavailable('Secrets are kept in a file here: a reference must be local:<name>');
}

/** The name is authenticated too, so that no entry can be moved to another name. */
function seal(text: string, key: Buffer, name: string): string {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(name));
  const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), body]).toString('base64');
}

function unseal(sealed: string, key: Buffer, name: string): string {
  const bytes = Buffer.from(sealed, 'base64');
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, IV_BYTES), {
    authTagLength: TAG_BYTES,
  })
    .setAAD(Buffer.from(name))
    .setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
  const body = bytes.subarray(IV_BYTES + TAG_BYTES);
  return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8');
}

async function readContent(path: string): Promise<Content> {
  const text = await readIfThere(path);
  const content: Content = Object.create(null) as Content;
  return text === undefined ? content : Object.assign(content, JSON.parse(text.toString('utf8')));
}

async function readKey(path: string, create: boolean): Promise<Buffer> {
  let key = await readIfThere(path);
  if (key === undefined && create) {
    // Whole or not at all, and the first one wins.
    const draft = await writeDraft(path, randomBytes(KEY_BYTES));
    await link(draft, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    await rm(draft);
    key = await readFile(path);
  }
  if (key?.length !== KEY_BYTES) throw unavailable(`The key file ${path} is missing or damaged`);
  return key;
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The old content or the new one, also after a crash: written beside, flushed, renamed. */
async function replaceFile(path: string, text: string): Promise<void> {
  await rename(await writeDraft(path, Buffer.from(text)), path);
  const folder = await open(dirname(path), 'r');
  await folder.sync().finally(() => folder.close());
}

async function writeDraft(path: string, bytes: Buffer): Promise<string> {
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  return draft;
}

function unavailable(what: string, cause?: unknown): PgtwinError {
  if (cause instanceof PgtwinError) return cause;
  return new PgtwinError('secret-unavailable', { detail: `${what}.` }, { cause });
}
