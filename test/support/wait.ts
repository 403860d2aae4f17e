import { setTimeout as pause } from 'node:timers/promises';

export type UntilOptions = {
  /** Default 30,000. */
  readonly timeoutMs?: number;
  /** Errors of the probe count as "not yet", as while a server restarts. Default false: they are thrown on. */
  readonly tolerateErrors?: boolean;
};

/**
 * Polls until the probe gives something other than `undefined` or `false`, and returns that; first after 5 ms, then
 * ever slower up to 100 ms. On time-out says what it waited for and what was seen last: what the probe passed to
 * `saw`, or else what it returned or threw.
 */
export async function until<T>(
  what: string,
  probe: (saw: (value: unknown) => void) => Promise<T | undefined | false>,
  { timeoutMs = 30_000, tolerateErrors = false }: UntilOptions = {},
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown = 'nothing';
  let failure: unknown;
  for (let delayMs = 5; ; delayMs = Math.min(100, delayMs * 1.5)) {
    let reported = false;
    try {
      const result = await probe((value) => {
        reported = true;
        last = value;
      });
      if (result !== undefined && result !== false) return result;
      failure = undefined;
      if (!reported) last = result;
    } catch (error) {
      if (!tolerateErrors) throw error;
      failure = error;
      if (!reported) last = error;
    }
    if (performance.now() > deadline) {
      throw new Error(`Waited ${timeoutMs} ms for ${what}; last seen: ${shown(last)}`, { cause: failure });
    }
    await pause(delayMs);
  }
}

function shown(value: unknown): string {
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  if (typeof value === 'string') return value;
  return (
    JSON.stringify(value, (_key, part) => (typeof part === 'bigint' ? String(part) : part)) ?? 'undefined'
  );
}
