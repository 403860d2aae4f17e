import { computed, signal } from '@preact/signals';
import { type ApiClient, openApiClient } from '../../../../shared/client/client.ts';
import { asPgtwinError } from '../../../../shared/errors/pgtwin-error.ts';

/** Kept until the tab is closed, and nowhere else. */
const KEY = 'pgtwin-token';

export const token = signal<string | undefined>(sessionStorage.getItem(KEY) ?? undefined);
/** Whose token it is; undefined until the service has said so. */
export const who = signal<{ readonly name: string; readonly role: Role } | undefined>(undefined);

const roles = ['viewer', 'operator', 'admin'] as const;
type Role = (typeof roles)[number];

/** Whether the service would take it: what it would refuse is not offered. */
export const may = (needed: Role): boolean =>
  who.value !== undefined && roles.indexOf(who.value.role) >= roles.indexOf(needed);

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
  const caller = await clientOf(given).whoAmI();
  sessionStorage.setItem(KEY, given);
  ended.value = undefined;
  who.value = caller;
  token.value = given;
}

const AGAIN_MS = 5_000;

/** Asks whose token was kept in this tab. A service that does not answer is asked again. */
export async function recall(): Promise<void> {
  const given = token.value;
  if (given === undefined || who.value) return;
  try {
    const caller = await clientOf(given).whoAmI();
    if (token.value === given) who.value = caller;
  } catch {
    if (token.value === given) setTimeout(() => void recall(), AGAIN_MS);
  }
}

export function signOut(): void {
  sessionStorage.removeItem(KEY);
  token.value = undefined;
  who.value = undefined;
}

/** An Idempotency-Key. `randomUUID` is there on pages with TLS only. */
export const newKey = (): string =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** One sentence of anything thrown, and the way out. */
export function wordsOf(thrown: unknown): { detail: string; advice: string | undefined } {
  const error = asPgtwinError(thrown);
  if (error.code === 'conflict-of-versions')
    return {
      detail: 'Somebody else has changed this since you opened it. Nothing of yours was stored.',
      advice: 'Load the page again, look at what has changed, and repeat it.',
    };
  const advice = String(error.facts['advice'] ?? error.rule.advice);
  return { detail: error.message, advice: error.message.includes(advice) ? undefined : advice };
}
