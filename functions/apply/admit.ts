import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { MessageHeader } from '../../shared/stream/message.ts';
import type { Progress } from './progress.ts';

type Admitted = {
  /** Of the newest admitted message. */
  readonly header: MessageHeader;
  /** Numbers of the transactions, in order. */
  readonly numbers: readonly number[];
  /** Epoch of the message whose predecessor is missing. */
  readonly gap: number | undefined;
};

/**
 * What of the transactions `from` to `to` is to be applied, given the locked watermark (pure): older epochs are not
 * read, transactions at or below the watermark are skipped one by one, and before a message whose predecessor is
 * missing everything ends: that is a gap.
 */
export function admit(
  progress: Pick<Progress, 'generation' | 'epoch' | 'position'>,
  units: readonly { header: MessageHeader; transactions: readonly { position: string }[] }[],
  { from, to }: { from: number; to: number },
): Admitted {
  const numbers: number[] = [];
  let watermark: string = progress.position;
  let { epoch } = progress;
  let header = units[0]!.header;
  let at = 0;
  for (const unit of units) {
    const start = at;
    at += unit.transactions.length;
    if (at <= from || start >= to) continue;
    if (unit.header.generation > progress.generation)
      throw new PgtwinError('internal', {
        detail: 'A generation comes before it was prepared on the destination.',
      });
    if (unit.header.generation < progress.generation || unit.header.epoch < epoch) continue;
    if (unit.header.previous > watermark) return { header, numbers, gap: unit.header.epoch };
    header = unit.header;
    epoch = header.epoch;
    for (let n = Math.max(start, from); n < Math.min(at, to); n++) {
      const { position } = unit.transactions[n - start]!;
      if (position <= watermark) continue;
      watermark = position;
      numbers.push(n);
    }
  }
  return { header, numbers, gap: undefined };
}
