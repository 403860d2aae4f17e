import { z } from 'zod';
import { PgtwinError } from '../errors/pgtwin-error.ts';
import { type PreparedTable, preparedTable } from './schema.ts';
import type { Table } from './table.ts';

/**
 * What a task has in the databases, kept in its partition: 'prepared', and the table list in pages beside it
 * ('table#<generation>#<n>'), since 5,000 tables do not fit into one item of 400 KB.
 */
export const preparedHead = z.strictObject({
  v: z.literal(1),
  generation: z.number().int().describe('the run that slot and table list were made for'),
  slot: z.string().nullable().describe('null: no incremental synchronization'),
  systemId: z.string().describe('of the source, as IDENTIFY_SYSTEM gave it'),
  timeline: z.number().int(),
  consistentPoint: z
    .string()
    .nullable()
    .describe('LSN from which on the slot has everything; null: not made yet'),
  tables: z.number().int(),
  pages: z.number().int(),
  at: z.string(),
});
export type PreparedHead = z.infer<typeof preparedHead>;
export type Prepared = PreparedHead & { readonly list: readonly PreparedTable[] };

const PAGE_BYTES = 300_000;
const page = z.array(preparedTable);

/** The tables in lists whose JSON stays below an item's limit, in order. */
export function pagesOf(tables: readonly PreparedTable[], limit = PAGE_BYTES): PreparedTable[][] {
  const pages: PreparedTable[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const table of tables) {
    const size = Buffer.byteLength(JSON.stringify(table)) + 1;
    if (bytes + size > limit) {
      pages.push([]);
      bytes = 0;
    }
    pages.at(-1)?.push(table);
    bytes += size;
  }
  return pages;
}

/** Stores the pages first: a head that is there is whole. Safe to repeat. */
export async function savePrepared(
  table: Table,
  taskId: string,
  value: Omit<PreparedHead, 'v' | 'tables' | 'pages'>,
  list: readonly PreparedTable[],
): Promise<void> {
  const pages = pagesOf(list);
  for (const [n, body] of pages.entries())
    await table.put({ pk: taskId, sk: pageKey(value.generation, n), version: 1, body }, 'any');
  const body: PreparedHead = { v: 1, ...value, tables: list.length, pages: pages.length };
  await table.put({ pk: taskId, sk: 'prepared', version: 1, body }, 'any');
}

/** Undefined: the task was never prepared. */
export async function readPrepared(table: Table, taskId: string): Promise<Prepared | undefined> {
  const item = await table.get(taskId, 'prepared');
  if (!item) return undefined;
  const head = parse(preparedHead, item.body, taskId);
  const list: PreparedTable[] = [];
  for (let n = 0; n < head.pages; n++) {
    const stored = await table.get(taskId, pageKey(head.generation, n));
    list.push(...parse(page, stored?.body, taskId));
  }
  return { ...head, list };
}

/** Forgets what was prepared. Safe to repeat. */
export async function removePrepared(table: Table, taskId: string): Promise<void> {
  await table.remove(taskId, 'prepared');
  for (const prefix of ['table#', 'chunk#']) await removeAll(table, taskId, prefix);
}

/** Removes all items of a partition whose key starts so. */
export async function removeAll(table: Table, taskId: string, prefix: string): Promise<void> {
  for (;;) {
    const { items } = await table.query(taskId, { prefix, limit: 100 });
    if (items.length === 0) return;
    for (const { pk, sk } of items) await table.remove(pk, sk);
  }
}

const pageKey = (generation: number, n: number): string => `table#${pad(generation)}#${pad(n)}`;
const pad = (n: number): string => String(n).padStart(8, '0');

function parse<T>(schema: z.ZodType<T>, body: unknown, taskId: string): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new PgtwinError('internal', {
    detail: `What is stored of the preparation of task ${taskId} is not readable: ${parsed.error.message}`,
  });
}
