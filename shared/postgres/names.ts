/** Names of what a task makes in the databases. Task ids are of [a-z0-9_], at most 22 characters. */
export const slotName = (taskId: string): string => `pgtwin_sync_${taskId}`;
/** The selected tables, the progress row of the opposite task and the heartbeat: all operations. */
export const publicationName = (taskId: string): string => `pgtwin_${taskId}`;
/** Control rows of the conflict protocol: insert only, so that cleaning them sends nothing. */
export const controlPublicationName = (taskId: string): string => `pgtwin_${taskId}_control`;
/** One name per task and shard: an origin is used by one backend at a time (PostgreSQL manual, ch. 48). */
export const originName = (taskId: string, shard: number): string => `pgtwin_${taskId}_${shard}`;
/** On the destination's tables, where deletions by users are noted (onDeleted "by-time"). */
export const deletionTrigger = (taskId: string): string => `pgtwin_${taskId}_deleted`;
