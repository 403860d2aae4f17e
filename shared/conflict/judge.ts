import type { ConflictEntry, ConflictKind, ConflictResult } from './kinds.ts';
import { rowPolicy, wholeRowPolicy } from './policies/choose.ts';
import { isLater } from './policies/last-write-wins.ts';
import type { Settings, Verdict } from './policies/policy.ts';
import { type Key, type Row, sameRow, type Table } from './rows.ts';
import type { Local, SourceFacts, Step, Steps } from './steps.ts';

/** What the arbiter decides a change with. */
export type Context = {
  readonly table: Table;
  readonly settings: Settings;
  readonly source: SourceFacts;
  /** A person's answer to the conflict that stopped the task at this change: wins over every policy. */
  readonly choice?: 'source' | 'destination' | undefined;
  /** False without a reverse task: no outcome and no pull is written, nobody would read them. */
  readonly publish: boolean;
};

/** One contest: what arrives (null deletes), what it was made on, and the local row that it meets. */
export type Meeting = {
  readonly kind: ConflictKind;
  readonly key: Key;
  readonly row: Row | null;
  readonly base: Row | null;
  readonly local: Local;
};

/** The verdict on two versions of one row. */
export const judgeRow = (context: Context, meeting: Meeting): Verdict =>
  rowPolicy(context.settings, context.choice)(contestOf(context, meeting), context.settings);

/** The verdict on two rows that want the same unique value. */
export const judgeCollision = (context: Context, meeting: Meeting): 'source' | 'destination' | 'fail' => {
  if (context.choice !== undefined) return context.choice;
  const verdict = wholeRowPolicy(context.settings)(contestOf(context, meeting), context.settings);
  return verdict === 'source' || verdict === 'destination' ? verdict : 'fail';
};

/** The verdict on the deletion of a row that its author had not seen. */
export const judgeDelete = (context: Context, meeting: Meeting): Verdict => {
  const { onDeleted, preferredSide } = context.settings;
  if (context.choice !== undefined) return context.choice;
  if (onDeleted === 'stay-deleted') return 'source';
  if (onDeleted === 'restore') return judgeRow(context, meeting);
  const { source, local } = contestOf(context, meeting);
  return isLater(source, local, preferredSide) ? 'source' : 'destination';
};

/** Whether an update of a row that is gone brings it back. */
export const comesBack = (context: Context, meeting: Meeting): boolean => {
  const { onDeleted, preferredSide } = context.settings;
  if (context.choice !== undefined) return context.choice === 'source';
  if (onDeleted === 'stay-deleted') return false;
  if (onDeleted === 'restore' || (meeting.local.time === null && !meeting.local.deleted)) return true;
  const { source, local } = contestOf(context, meeting);
  return isLater(source, local, preferredSide);
};

/**
 * True if the change was made on exactly the row that is here: then there is nothing to decide, whatever the xids say.
 * The outcome is published all the same: the other side may skip what made this row here.
 */
export const madeOnThis = (base: Row | null, local: Row): boolean => base !== null && sameRow(base, local);

const contestOf = (context: Context, { kind, key, row, base, local }: Meeting) => ({
  kind,
  table: context.table,
  key,
  source: { row, time: context.source.time, side: context.source.side },
  local: { row: local.row, time: local.time, side: local.side },
  base,
});

/** The line of the conflict log for a meeting that ended so. */
export const entryOf = (context: Context, meeting: Meeting, result: ConflictResult): ConflictEntry => ({
  kind: meeting.kind,
  unsure: meeting.local.unsure,
  policy: context.choice === undefined ? context.settings.policy : 'chosen',
  result,
  key: meeting.key,
  source: { row: meeting.row, time: context.source.time, side: context.source.side },
  destination: { row: meeting.local.row, time: meeting.local.time, side: meeting.local.side },
});

/** Logs how a meeting ended; `fail` stops the task. */
export function* report(context: Context, meeting: Meeting, verdict: Verdict): Steps {
  yield verdict === 'fail'
    ? { do: 'stop', entry: entryOf(context, meeting, 'stopped') }
    : {
        do: 'log',
        entry: entryOf(context, meeting, typeof verdict === 'string' ? resultOf(verdict) : 'merged'),
      };
}

const resultOf = (verdict: 'source' | 'destination' | 'delete'): ConflictResult =>
  verdict === 'delete' ? 'merged' : verdict;

/** Publishes what the keys are from now on. */
export function* publish(context: Context, keys: readonly Key[]): Steps {
  if (context.publish) for (const key of keys) yield { do: 'outcome', key };
}

/** Asks the other side for a key's row; without a reverse task nobody can answer, and the log says what is missing. */
export function* ask(context: Context, meeting: Meeting): Steps {
  const step: Step = {
    do: 'log',
    entry: entryOf(context, meeting, context.publish ? 'asked' : 'incomplete'),
  };
  yield step;
  if (context.publish) yield { do: 'pull', key: meeting.key, met: [] }; // rule: ask
}
