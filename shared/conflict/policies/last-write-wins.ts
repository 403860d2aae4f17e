import type { Version } from '../kinds.ts';
import type { Side } from '../rows.ts';
import type { Policy } from './policy.ts';

/** True if the first version is the later one, by hybrid time; equal and unknown times go to the preferred side. */
export const isLater = (one: Version, other: Version, preferred: Side): boolean => {
  if (one.time === null || other.time === null || one.time === other.time) return one.side === preferred;
  return one.time > other.time;
};

/** The later version wins. Without `track_commit_timestamp` local times are unknown: the preferred side wins. */
export const lastWriteWins: Policy = (contest, settings) =>
  isLater(contest.source, contest.local, settings.preferredSide) ? 'source' : 'destination';
