import {
  CreateSecretCommand,
  DeleteSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  RestoreSecretCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { PgtwinError } from '../errors/pgtwin-error.ts';
import type { SecretStore } from '../task/ports.ts';
import { awsErrorName, awsFailure, type ClientSettings, clientOptions } from './client.ts';
import { openFileSecretStore } from './secret-file.ts';

const PREFIX = 'pgtwin/';
const CACHE_MS = 5 * 60_000;

export type CachingSecretStore = SecretStore & {
  /** Makes the next `get` read again: after `login-failed`, the password may have been rotated. */
  forget(reference: string): void;
};

/** The store that `PGTWIN_SECRETS` names: `secrets-manager` or `file:<path>`. What was read is kept for five minutes. */
export function openSecretStore(setting: string, settings: ClientSettings = {}): CachingSecretStore {
  if (setting === 'secrets-manager') return caching(openSecretsManager(settings));
  if (setting.startsWith('file:')) return caching(openFileSecretStore(setting.slice('file:'.length)));
  throw new PgtwinError('environment-invalid', {
    detail: 'PGTWIN_SECRETS must be secrets-manager or file:<path>.',
  });
}

/** `put` stores `pgtwin/<name>` and gives its ARN. Only such secrets are ever removed, never a user's own. */
function openSecretsManager(settings: ClientSettings): SecretStore {
  const client = new SecretsManagerClient(clientOptions(settings));
  return {
    async get(reference) {
      try {
        const answer = await client.send(new GetSecretValueCommand({ SecretId: reference }));
        if (answer.SecretString !== undefined) return answer.SecretString;
      } catch (error) {
        throw awsFailure('secret-unavailable', `Reading secret ${reference}`, error);
      }
      throw new PgtwinError('secret-unavailable', { detail: `Secret ${reference} is binary, not text.` });
    },
    async put(name, password) {
      const id = `${PREFIX}${name}`;
      try {
        return await createOrReplace(client, id, password);
      } catch (error) {
        throw awsFailure('secret-unavailable', `Storing secret ${id}`, error);
      }
    },
    async remove(reference) {
      if (!reference.startsWith(PREFIX) && !reference.includes(`:secret:${PREFIX}`)) return;
      try {
        const whole = { SecretId: reference, ForceDeleteWithoutRecovery: true };
        await client.send(new DeleteSecretCommand(whole));
      } catch (error) {
        if (awsErrorName(error) === 'ResourceNotFoundException') return;
        throw awsFailure('secret-unavailable', `Removing secret ${reference}`, error);
      }
    },
  };
}

async function createOrReplace(client: SecretsManagerClient, id: string, text: string): Promise<string> {
  try {
    const created = await client.send(new CreateSecretCommand({ Name: id, SecretString: text }));
    return created.ARN ?? id;
  } catch (error) {
    const name = awsErrorName(error);
    // Somebody removed it by hand with a recovery window: it is there, but can be neither made nor written.
    if (name === 'InvalidRequestException') await client.send(new RestoreSecretCommand({ SecretId: id }));
    else if (name !== 'ResourceExistsException') throw error;
    const replaced = await client.send(new PutSecretValueCommand({ SecretId: id, SecretString: text }));
    return replaced.ARN ?? id;
  }
}

/** Keeps what was read for a while. A failed read is not kept; `put` and `remove` forget. */
export function caching(store: SecretStore, now: () => number = Date.now): CachingSecretStore {
  const kept = new Map<string, { readonly text: Promise<string>; readonly until: number }>();
  return {
    get(reference) {
      const known = kept.get(reference);
      if (known && known.until > now()) return known.text;
      const text = store.get(reference);
      const entry = { text, until: now() + CACHE_MS };
      kept.set(reference, entry);
      text.catch(() => {
        if (kept.get(reference) === entry) kept.delete(reference);
      });
      return text;
    },
    async put(name, password) {
      const reference = await store.put(name, password);
      kept.delete(reference);
      return reference;
    },
    async remove(reference) {
      kept.delete(reference);
      await store.remove(reference);
    },
    forget: (reference) => void kept.delete(reference),
  };
}
