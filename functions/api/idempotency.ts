import { createHash, createHmac } from 'node:crypto';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { taskIdOf } from '../../shared/task/schema.ts';
import type { Table } from '../../shared/task/table.ts';

/** A request that has not ended after this long has died with its process. */
const DEAD_AFTER_MS = 120_000;

type Stored = { readonly request: string; readonly state: 'working' | 'done'; readonly at: string };

/**
 * The pair id that an Idempotency-Key stands for: the key's own hash, so that the record lies in the pair's
 * partition and goes with the pair.
 */
export const pairIdOfKey = (actor: string, key: string): string =>
  BigInt(`0x${createHash('sha256').update(`${actor}\0${key}`).digest('hex')}`)
    .toString(36)
    .slice(-16);

/**
 * Runs `create` once for a key. The same request again gives `again()`, another request with the key is refused with
 * `idempotency-key-reused`. A failed request is forgotten, so that it can be mended and sent with the same key.
 */
export async function once<T>(input: {
  readonly table: Table;
  readonly now: () => Date;
  readonly pairId: string;
  readonly key: string;
  readonly request: unknown;
  readonly create: () => Promise<T>;
  readonly again: () => Promise<T>;
}): Promise<{ value: T; replayed: boolean }> {
  const { table, now, pairId, key } = input;
  const at = { pk: taskIdOf(pairId, 'forward'), sk: 'idempotency' };
  // Under the key, which is stored nowhere: the request holds passwords.
  const request = createHmac('sha256', key).update(JSON.stringify(input.request)).digest('hex');
  const body = (state: Stored['state']): Stored => ({ request, state, at: now().toISOString() });

  const stored = await table.get(at.pk, at.sk);
  const known = stored?.body as Stored | undefined;
  if (known && known.request !== request)
    throw new PgtwinError('idempotency-key-reused', {
      field: 'header.idempotency-key',
      detail: 'This Idempotency-Key was used with another body.',
    });
  if (known?.state === 'done') return { value: await input.again(), replayed: true };
  const alive = known && now().getTime() - Date.parse(known.at) < DEAD_AFTER_MS;
  const version = (stored?.version ?? 0) + 1;
  const mine =
    !alive && (await table.put({ ...at, version, body: body('working') }, stored?.version ?? 'absent'));
  if (!mine) throw new PgtwinError('request-in-progress', { detail: 'The same request is at work already.' });
  try {
    const value = await input.create();
    await table.put({ ...at, version: version + 1, body: body('done') }, 'any');
    return { value, replayed: false };
  } catch (error) {
    await table.remove(at.pk, at.sk).catch(() => {});
    throw error;
  }
}
