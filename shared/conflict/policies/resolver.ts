import { isComplete, keyOf, sameKey } from '../rows.ts';
import type { Policy } from './policy.ts';

const verdicts: readonly string[] = ['source', 'destination', 'delete', 'fail'];

/** A user's function decides. Anything but a valid answer stops the task. */
export const resolver: Policy = (contest, settings) => {
  let answer: ReturnType<NonNullable<typeof settings.resolver>>;
  try {
    answer = settings.resolver?.(contest) ?? 'fail';
  } catch {
    return 'fail';
  }
  if (typeof answer === 'string') return verdicts.includes(answer) ? answer : 'fail';
  const { table, key } = contest;
  const valid =
    Array.isArray(answer) &&
    answer.length === table.columns.length &&
    isComplete(answer) &&
    sameKey(keyOf(table, answer), key);
  return valid ? { row: answer } : 'fail';
};
