import { PgtwinError } from '../errors/pgtwin-error.ts';

/**
 * A place in the order of commits: the commit record's LSN (pgoutput Begin's final_lsn) and the index of a change in
 * its transaction, as fixed-width hexadecimal text, so that `<` means the same in TypeScript, in a DynamoDB condition
 * and in SQL (`collate "C"`). The same change has the same position in every re-send.
 */
export type Position = string & { readonly kind: 'position' };

const hex = (value: bigint | number, width: number): string =>
  value.toString(16).toUpperCase().padStart(width, '0');

export const positionOf = (commit: bigint, index: number): Position =>
  `${hex(commit, 16)}.${hex(index, 8)}` as Position;

/** Behind every change of the transaction, whatever their number: what a watermark holds once it is applied. */
export const endOfTransaction = (commit: bigint): Position => `${hex(commit, 16)}.FFFFFFFF` as Position;

/** Before everything. */
export const zeroPosition = '0000000000000000.00000000' as Position;

/** The lowest of positions, of which there is at least one. */
export const lowest = (positions: readonly Position[]): Position =>
  positions.reduce((one, other) => (one < other ? one : other));

/** The commit LSN of a position. */
export const commitOf = (position: Position): bigint => BigInt(`0x${position.slice(0, 16)}`);

/** Checks text from outside: queue, table, database. */
export function asPosition(text: string): Position {
  if (/^[0-9A-F]{16}\.[0-9A-F]{8}$/.test(text)) return text as Position;
  throw new PgtwinError('message-malformed', { detail: `"${text.slice(0, 40)}" is not a position.` });
}

/** An LSN as PostgreSQL prints it (manual, 8.20 pg_lsn). */
export const lsnText = (lsn: bigint): string => `${hex(lsn >> 32n, 1)}/${hex(lsn & 0xffffffffn, 1)}`;

export function lsnOf(text: string): bigint {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  if (!match) throw new PgtwinError('internal', { detail: `"${text.slice(0, 40)}" is not an LSN.` });
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
}
