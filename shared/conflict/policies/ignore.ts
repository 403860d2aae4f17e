import type { Policy } from './policy.ts';

/** The destination's version stays. */
export const ignore: Policy = () => 'destination';
