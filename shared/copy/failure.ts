import { z } from 'zod';
import { PgtwinError } from '../errors/pgtwin-error.ts';
import { type ErrorCode, errors } from '../errors/table.ts';
import { codeOf, isConnectionError, sqlstate, translate } from '../postgres/sqlstate.ts';
import { removeAll } from '../task/prepared.ts';
import type { Table } from '../task/table.ts';

/** Why a chunk could not be copied, told by a worker to the coordinator. Never values of rows. */
export const chunkFailure = z.strictObject({
  relation: z.string(),
  chunk: z.number().int(),
  code: z.string(),
  sqlstate: z.string(),
  detail: z.string(),
  at: z.string(),
});
export type ChunkFailure = z.infer<typeof chunkFailure>;

const prefixOf = (attempt: number): string => `chunk#${String(attempt).padStart(8, '0')}#`;

export async function reportFailure(
  table: Table,
  at: { task: string; attempt: number },
  failure: ChunkFailure,
): Promise<void> {
  const sk = `${prefixOf(at.attempt)}${failure.relation}#${failure.chunk}`;
  await table.put({ pk: at.task, sk, version: 1, body: failure }, 'any');
}

/** The first failure of an attempt that is there, as the error that the task ends or retries with. */
export async function readFailure(
  table: Table,
  at: { task: string; attempt: number },
): Promise<PgtwinError | undefined> {
  const { items } = await table.query(at.task, { prefix: prefixOf(at.attempt), limit: 1 });
  const parsed = chunkFailure.safeParse(items[0]?.body);
  if (!parsed.success) return undefined;
  const { relation, chunk, detail, sqlstate: state } = parsed.data;
  const code = (parsed.data.code in errors ? parsed.data.code : 'copy-failed') as ErrorCode;
  return new PgtwinError(code, {
    detail: `Chunk ${chunk} of ${relation}: ${detail}`,
    table: relation,
    chunk,
    sqlstate: state,
  });
}

export const clearFailures = (table: Table, task: string): Promise<void> => removeAll(table, task, 'chunk#');

/** A snapshot whose holder is gone: 22023 up to 17, 42704 in 18, told from others by the text. */
export const isSnapshotGone = (error: unknown): boolean =>
  (codeOf(error) === '22023' && /invalid snapshot identifier/.test(String(error))) ||
  (codeOf(error) === sqlstate.undefinedObject && /snapshot ".*" does not exist/.test(String(error)));

type DatabaseError = { column?: string; constraint?: string; table?: string };

/**
 * An error of a chunk without any value of a row: the server's messages of class 22 hold values, its details and
 * contexts in every class. So these are left out, and so is the cause.
 */
export function failureOf(error: unknown): { code: ErrorCode; sqlstate: string; detail: string } {
  const state = codeOf(error);
  if (error instanceof PgtwinError)
    return { code: error.code, sqlstate: String(error.facts['sqlstate'] ?? ''), detail: error.message };
  if (isSnapshotGone(error))
    return {
      code: 'database-unreachable',
      sqlstate: state,
      detail: 'The copy lost its snapshot of the source.',
    };
  const { column, constraint } = (error ?? {}) as DatabaseError;
  const where = [constraint && `constraint ${constraint}`, column && `column ${column}`]
    .filter(Boolean)
    .join(', ');
  const refused = (what: string) => ({
    code: 'copy-failed' as const,
    sqlstate: state,
    detail: `${what}${where ? ` (${where})` : ''}, SQLSTATE ${state}.`,
  });
  if (/^(22|P0)/.test(state)) return refused('The destination does not take a value');
  if (/^(23|44)/.test(state)) return refused('The destination refused a row');
  if (isConnectionError(error)) {
    const translated = translate(error);
    return { code: translated.code, sqlstate: state, detail: translated.message };
  }
  const translated = translate(error);
  const code = translated.code === 'database-error' ? 'copy-failed' : translated.code;
  return { code, sqlstate: state, detail: translated.message };
}
