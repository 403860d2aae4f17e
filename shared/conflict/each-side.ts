import { decide } from './decide.ts';
import type { Context } from './judge.ts';
import type { Change, Steps } from './steps.ts';

/**
 * `decide: "each-side"`, the reference's way, and that of tables that only one task has: each side decides for itself.
 * Only what the rows show is a conflict (a row is there that should not be, or is not there), nothing is known of what
 * the other side had seen, nothing is published: the two databases may end different.
 */
export function* decideAlone(change: Change, context: Context): Steps {
  const steps = decide(change, { ...context, publish: false });
  let step = steps.next();
  while (!step.done) {
    const answer = yield step.value;
    step = steps.next(answer && { ...answer, unseen: false, unsure: false });
  }
}
