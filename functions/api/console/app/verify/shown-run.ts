import type { Tagged } from '../../../../../shared/client/call.ts';
import type { VerificationView } from '../../../../../shared/client/verify-contract.ts';
import { wordsOfWinner } from '../../../../../shared/verify/winner.ts';
import type { Shown } from '../shown.ts';
import { timeOf } from '../words.ts';

/** A verification as a person was shown it. */
export const shownRun = (pair: string, { value: before, etag }: Tagged<VerificationView>): Shown => ({
  tag: etag ?? '*',
  async look(api) {
    const found = await api.readVerification(pair, before.id);
    const { status, repair, updatedAt } = found.value;
    const isNew = repair !== undefined && repair.askedAt !== before.repair?.askedAt;
    return {
      now: shownRun(pair, found),
      changes: [
        ...(isNew
          ? [
              `A repair was asked for by ${repair.by}, ${timeOf(repair.askedAt)}: ${wordsOfWinner(repair.order.winner)}.`,
            ]
          : []),
        ...(status === before.status
          ? []
          : [`The run was ${before.status} and is ${status}, ${timeOf(updatedAt)}.`]),
      ],
    };
  },
});
