import { setTimeout as wait } from 'node:timers/promises';
import { PgtwinError } from '../shared/errors/pgtwin-error.ts';

type Waiting = {
  readonly endpoint: string;
  /** Why it will never be ready, as soon as that is known. */
  readonly failure: () => Promise<string | null> | string | null;
  readonly timeoutMs: number;
};

/** Waits until LocalStack answers its health check; throws with the reason when it ended or did not come in time. */
export async function untilReady({ endpoint, failure, timeoutMs }: Waiting): Promise<void> {
  const giveUpAt = Date.now() + timeoutMs;
  let last = 'no answer yet';
  for (;;) {
    const ended = await failure();
    if (ended) throw new PgtwinError('internal', { detail: `LocalStack did not start: ${ended}` });
    try {
      const answer = await fetch(`${endpoint}/_localstack/health`, { signal: AbortSignal.timeout(2000) });
      if (answer.ok) return;
      last = `health check answered ${answer.status}`;
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    if (Date.now() > giveUpAt) {
      throw new PgtwinError('internal', {
        detail: `LocalStack was not ready after ${timeoutMs / 1000} s: ${last}`,
      });
    }
    await wait(50);
  }
}
