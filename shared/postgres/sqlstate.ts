import type { ErrorFacts } from '../errors/pgtwin-error.ts';
import { PgtwinError } from '../errors/pgtwin-error.ts';
import type { ErrorCode } from '../errors/table.ts';

/** SQLSTATEs by meaning (PostgreSQL manual, appendix A). */
export const sqlstate = {
  uniqueViolation: '23505',
  foreignKeyViolation: '23503',
  exclusionViolation: '23P01',
  lockNotAvailable: '55P03',
  objectInUse: '55006',
  undefinedObject: '42704',
  undefinedTable: '42P01',
  undefinedColumn: '42703',
  duplicateObject: '42710',
  insufficientPrivilege: '42501',
  prerequisiteState: '55000',
  serializationFailure: '40001',
  deadlockDetected: '40P01',
  queryCanceled: '57014',
  inFailedTransaction: '25P02',
  internalError: 'XX000',
} as const;

const loginStates = new Set(['28P01', '28000', '3D000']);
const connectionStates = /^(08|57P0|53300)/;
const socketCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EPIPE',
  'ENOENT',
  'EACCES',
]);
/** What `pg` says without a code when a connection goes or never comes. */
const connectionTexts =
  /connection terminated|timeout expired|query read timeout|terminated unexpectedly|not queryable|client was closed|closed the connection/i;

/**
 * Texts where only the wording tells, with a sample per version:
 * 15, 16, 17: `cannot read from logical replication slot "…"` / `This slot has been invalidated because it exceeded
 * the maximum reserved size.`; 18: `can no longer access replication slot "…"` / `This replication slot has been
 * invalidated due to "wal_removed".`; all: `requested WAL segment … has already been removed`.
 */
const lostSlotTexts =
  /can no longer (get changes from|access) replication slot|cannot read from logical replication slot|invalidated|requested WAL segment .* has already been removed/;

export const codeOf = (error: unknown): string => String((error as { code?: unknown } | null)?.code ?? '');
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export const isConnectionError = (error: unknown): boolean =>
  socketCodes.has(codeOf(error)) ||
  connectionStates.test(codeOf(error)) ||
  connectionTexts.test(messageOf(error));

/** Errors after which the same transaction may simply be tried again. */
export const isTransient = (error: unknown): boolean =>
  (
    [sqlstate.serializationFailure, sqlstate.deadlockDetected, sqlstate.lockNotAvailable] as string[]
  ).includes(codeOf(error));

/** Classes of SQLSTATE begin with a digit, or with F, H, P or X; no error code of Node does. */
const sqlstates = /^[0-9FHPX][0-9A-Z]{4}$/;

/** Anything thrown: translated where it comes from `pg`, else as it is. */
export const translateOwn = (error: unknown): unknown =>
  error instanceof PgtwinError || !(sqlstates.test(codeOf(error)) || isConnectionError(error))
    ? error
    : translate(error);

/** Translates an error of `pg` once, at the border; the cause stays attached for the log. */
export function translate(error: unknown, facts: ErrorFacts = {}): PgtwinError {
  if (error instanceof PgtwinError) return error;
  const code = codeOf(error);
  const message = messageOf(error);
  const as = (to: ErrorCode, detail: string) =>
    new PgtwinError(to, { ...facts, ...(code ? { sqlstate: code } : {}), detail }, { cause: error });
  if (loginStates.has(code)) return as('login-failed', `The server refused the login: ${message}.`);
  if (lostSlotTexts.test(message)) return as('slot-lost', `The replication slot is lost: ${message}.`);
  if (code === sqlstate.undefinedObject && /replication slot/.test(message))
    return as('slot-lost', `The replication slot does not exist: ${message}.`);
  if (code === sqlstate.undefinedObject && /publication/.test(message))
    return as('publication-missing', `The publication does not exist: ${message}.`);
  if (code === sqlstate.objectInUse) return as('slot-in-use', `In use by another session: ${message}.`);
  if (isConnectionError(error)) {
    const where = facts['host'] ? ` at ${String(facts['host'])}:${String(facts['port'])}` : '';
    return as('database-unreachable', `The database${where} does not answer: ${message || code}.`);
  }
  if (code === sqlstate.insufficientPrivilege)
    return as('privilege-missing', `The account may not do this: ${message}.`);
  return as('database-error', `The database says: ${message} (SQLSTATE ${code || 'none'}).`);
}
