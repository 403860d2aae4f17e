import type { TaskConfig } from './schema.ts';

/**
 * True if conflicts of the tables that both tasks carry are decided at one side: both tasks carry every operation, in
 * both directions, and the task that ends at the arbiter (`deciding`) says so.
 */
export const isDecidedTogether = (deciding: TaskConfig | undefined, other: TaskConfig | undefined): boolean =>
  [deciding, other].every((each) => each && Object.values(each.operations).every(Boolean)) &&
  deciding?.decide === 'arbiter';
