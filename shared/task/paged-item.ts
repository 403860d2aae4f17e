import { PgtwinError } from '../errors/pgtwin-error.ts';
import type { Table } from './table.ts';

/** DynamoDB takes 400 KB per item: what may be larger (the names of 5,000 tables) is kept in pages of this. */
const PAGE_BYTES = 256_000;

type Head = { readonly pages: number; readonly bytes: number };

/**
 * Stores a body of any size under `sk`: as it is if it fits into one item, else as text in pages beside it. Pages go
 * first: a head that is there is whole. `sk` must be new each time, or the body the same.
 */
export async function writePaged(table: Table, pk: string, sk: string, body: unknown): Promise<void> {
  const text = Buffer.from(JSON.stringify(body));
  if (text.length <= PAGE_BYTES) {
    await table.put({ pk, sk, version: 1, body }, 'any');
    return;
  }
  const pages = Math.ceil(text.length / PAGE_BYTES);
  for (let n = 0; n < pages; n++) {
    // Base64, so that a page's size is known and no character lies across two pages.
    const page = text.subarray(n * PAGE_BYTES, (n + 1) * PAGE_BYTES).toString('base64');
    await table.put({ pk, sk: pageKey(sk, n), version: 1, body: page }, 'any');
  }
  const head: Head = { pages, bytes: text.length };
  await table.put({ pk, sk, version: 2, body: head }, 'any');
}

/** What `writePaged` stored; undefined if there is nothing. Throws `internal` if a page is missing. */
export async function readPaged(table: Table, pk: string, sk: string): Promise<unknown> {
  const item = await table.get(pk, sk);
  if (item?.version !== 2) return item?.body;
  const { pages, bytes } = item.body as Head;
  const parts = await Promise.all(
    Array.from({ length: pages }, async (_, n) =>
      Buffer.from(String((await table.get(pk, pageKey(sk, n)))?.body ?? ''), 'base64'),
    ),
  );
  const text = Buffer.concat(parts);
  if (text.length !== bytes)
    throw new PgtwinError('internal', { detail: `A page of what is stored at ${pk} ${sk} is missing.` });
  return JSON.parse(text.toString());
}

const pageKey = (sk: string, n: number): string => `${sk}#${String(n).padStart(4, '0')}`;
