import { newValues, type Relation, tag } from '../../shared/postgres/pgoutput.ts';

/** What a progress row of the opposite task says, met in this side's stream. */
export type ProgressRow = {
  /** What this side has now seen of the other, in addition (conflict/seen.ts); empty if nothing. */
  readonly seen: string;
  /** Counts the row changes applied so far: unchanged if the transaction carried a heartbeat only. */
  readonly changes: string;
  readonly shard: number;
};

/** Reads the new tuple of a change on pgtwin.apply_progress. */
export function readProgressRow(b: Buffer, start: number, end: number, relation: Relation): ProgressRow {
  const value = newValues(b, start, end, relation);
  return { seen: value('seen'), changes: value('changes'), shard: Number(value('shard')) };
}

/**
 * Whether a transaction of the stream was written by apply (or copy) itself: its first row change is then the
 * progress row of the opposite task, or a row of pgtwin.copy_chunk. Deletes of such rows are cleaning, not marks.
 */
export const marksOwnWrite = (kind: string, changeTag: number): boolean =>
  (kind === 'progress' || kind === 'chunk') && (changeTag === tag.insert || changeTag === tag.update);

/** A transaction of apply writes the rows of one shard or of all; each counts once, whatever is counted in it later. */
export function noteOnce(noted: ProgressRow[], row: ProgressRow): boolean {
  if (noted.some(({ shard }) => shard === row.shard)) return false;
  noted.push(row);
  return true;
}
