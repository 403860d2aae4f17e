import type { Policy } from './policy.ts';

/** The preferred side always wins. */
export const sourcePriority: Policy = (contest, settings) =>
  contest.source.side === settings.preferredSide ? 'source' : 'destination';
