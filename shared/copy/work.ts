import { z } from 'zod';
import { PgtwinError } from '../errors/pgtwin-error.ts';
import { qualified } from '../postgres/ident.ts';
import { originName } from '../postgres/names.ts';
import { type TableName, tableName } from '../task/schema.ts';

const block = z.number().int().min(0).max(4_294_967_295);

/** One chunk of one table: what to read, and how to write it. */
export const copyItem = z.strictObject({
  table: tableName.describe(
    'where the rows go, by its name on the destination; the ledger knows the chunk by it',
  ),
  chunk: z.number().int().min(0),
  heap: tableName.describe('where the rows are at the source: the table, or one of its partitions'),
  from: block,
  to: block.nullable(),
  columns: z.array(z.string().min(1).max(63)).describe('of the source, without generated ones'),
  into: z.array(z.string().min(1).max(63)).optional().describe('their names on the destination, if others'),
  where: z.string().optional().describe('condition for the rows, over the columns of the source'),
  source: tableName.optional().describe('the table at the source, if steps are carried out on its rows'),
  format: z.enum(['text', 'binary']),
  merge: z.boolean().describe('rows may be there already: those are kept'),
  key: z
    .array(z.string())
    .nullable()
    .describe('conflict target of a merge; null: any unique index (none is deferrable)'),
});
export type CopyItem = z.infer<typeof copyItem>;

/** A message of the copy queue: chunks that one invocation copies one after another, each in its own transaction. */
export const copyMessage = z.strictObject({
  v: z.literal(1),
  task: z.string(),
  generation: z.number().int(),
  attempt: z.number().int().min(1).describe('one snapshot, one attempt; chunks of former ones are refused'),
  snapshot: z.string().regex(/^[0-9A-F]{8}-[0-9A-F]{8}-[0-9]+$/),
  lane: z
    .number()
    .int()
    .min(0)
    .describe('chunks of one lane are copied one at a time; if it is busy, any free one will do'),
  lanes: z.number().int().min(1).default(1).describe('lanes at work: they share the limits of the load'),
  items: z.array(copyItem).min(1),
});
export type CopyMessage = z.infer<typeof copyMessage>;

/** Throws `message-malformed`, and `message-version-unknown` for a later format. */
export function readCopyMessage(body: string): CopyMessage {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (cause) {
    throw new PgtwinError('message-malformed', { detail: 'A work message is not JSON.' }, { cause });
  }
  const version = (value as { v?: unknown } | null)?.v;
  if (typeof version === 'number' && version > 1)
    throw new PgtwinError('message-version-unknown', { detail: `Work messages of version ${version}.` });
  const parsed = copyMessage.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new PgtwinError('message-malformed', { detail: `A work message: ${parsed.error.message}` });
}

/** How the ledger names a table. */
export const relationOf = (table: TableName): string => qualified(table.schema, table.name);

/** Chunk numbers in the ledger name their attempt: what an attempt before a lost snapshot did is not this one's. */
export const CHUNKS_PER_ATTEMPT = 100_000;
export const chunkNumber = (attempt: number, index: number): number => attempt * CHUNKS_PER_ATTEMPT + index;
export const chunkIndex = (chunk: number): number => chunk % CHUNKS_PER_ATTEMPT;

/** Apply has the origins from 0 on; copy lanes are far above any shard. */
const FIRST_LANE_ORIGIN = 1000;
export const laneOrigin = (task: string, lane: number): string => originName(task, FIRST_LANE_ORIGIN + lane);
