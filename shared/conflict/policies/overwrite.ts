import type { Policy } from './policy.ts';

/** The source's version is taken. */
export const overwrite: Policy = () => 'source';
