import type { Policy } from './policy.ts';

/** Nobody decides: the task stops, and a person takes the source's or keeps the destination's. */
export const taskFailed: Policy = () => 'fail';
