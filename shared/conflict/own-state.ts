import { nothingSeen, parseSeen, seenText } from './seen.ts';
import { newestRanges, type XidRanges, xidsFrom } from './xid-ranges.ts';

/** The newest of apply's own xids that a progress row keeps; all are in pgtwin.apply_xid. */
const OWN_RANGES = 64;

/** Column `own` of a progress row: apply's newest xids, and the floor of this side that the newest author had seen. */
export type OwnState = { readonly xids: XidRanges; readonly floor: bigint };

export const parseOwn = (text: string | null): OwnState => (text ? parseSeen(text) : nothingSeen);

/** The column's text: xids below the floor are not needed any more. */
export const ownText = ({ xids, floor }: OwnState): string =>
  seenText({ ...nothingSeen, floor, xids: newestRanges(xidsFrom(xids, floor), OWN_RANGES) });
