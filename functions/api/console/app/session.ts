import { computed, signal } from '@preact/signals';
import { type ApiClient, openApiClient } from '../../../../shared/client/client.ts';
import { asPgtwinError } from '../../../../shared/errors/pgtwin-error.ts';

/** Kept until the tab is closed, and nowhere else. */
const KEY = 'pgtwin-token';

export const token = signal<string | undefined>(sessionStorage.getItem(KEY) ?? undefined);
/** Why a session ended that nobody ended. */
export const ended = signal<string | undefined>(undefined);

/** The API lies beside the console, whatever path both lie at. */
const address = new URL('..', document.baseURI).href;

const clientOf = (given: string): ApiClient =>
  openApiClient({
    url: address,
    token: given,
    fetch: async (url, init) => {
      const response = await fetch(url, { ...init, cache: 'no-store', credentials: 'omit' });
      if (response.status === 401 && token.value === given) {
        ended.value = 'The service does not accept this token any more. Sign in again.';
        signOut();
      }
      return response;
    },
  });

/** The client of the signed-in token. */
export const client = computed<ApiClient>(() => clientOf(token.value ?? ''));
export const api = (): ApiClient => client.value;

/** Throws what the API says of the token; nothing is kept then. */
export async function signIn(given: string): Promise<void> {
  await clientOf(given).listPairs({ limit: 1 });
  sessionStorage.setItem(KEY, given);
  ended.value = undefined;
  token.value = given;
}

export function signOut(): void {
  sessionStorage.removeItem(KEY);
  token.value = undefined;
}

/** An Idempotency-Key. `randomUUID` is there on pages with TLS only. */
export const newKey = (): string =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** One sentence of anything thrown, and the way out. */
export function wordsOf(thrown: unknown): { detail: string; advice: string | undefined } {
  const error = asPgtwinError(thrown);
  const advice = String(error.facts['advice'] ?? error.rule.advice);
  return { detail: error.message, advice: error.message.includes(advice) ? undefined : advice };
}
