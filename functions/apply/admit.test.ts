import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { MessageHeader } from '../../shared/stream/message.ts';
import { endOfTransaction, type Position, zeroPosition } from '../../shared/stream/position.ts';
import { admit } from './admit.ts';

type Unit = Parameters<typeof admit>[1][number];
const COUNT = 12;
const positions = Array.from({ length: COUNT }, (_, n) => endOfTransaction(BigInt(n + 1)));
const before = (n: number): Position => (n === 0 ? zeroPosition : positions[n - 1]!);

/** Messages of one epoch, which begins behind transaction `from`: all that follows, cut at random. */
function messagesOf(epoch: number, from: number, sizes: readonly number[], generation = 1): Unit[] {
  const units: Unit[] = [];
  for (let at = from, n = 0; at < COUNT; n++) {
    const to = Math.min(COUNT, at + sizes[n % sizes.length]!);
    const header = {
      generation,
      epoch,
      previous: before(at),
      first: positions[at]!,
      last: positions[to - 1]!,
    } as MessageHeader;
    units.push({ header, transactions: positions.slice(at, to).map((position) => ({ position })) });
    at = to;
  }
  return units;
}

/** What the queue gives to apply: at most ten messages, and the pieces of the batch that are tried one by one. */
type Delivery = {
  readonly take: number;
  readonly drop: boolean;
  readonly again: boolean;
  readonly cuts: readonly number[];
};
const delivery: fc.Arbitrary<Delivery> = fc.record({
  take: fc.integer({ min: 1, max: 4 }),
  drop: fc.boolean(),
  again: fc.boolean(),
  cuts: fc.array(fc.nat(8), { maxLength: 3 }),
});

test('every transaction is applied once and in order, whatever is lost, doubled, sent again or comes late', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 3 }), {
        minLength: 4,
        maxLength: 4,
      }),
      fc.array(delivery, { minLength: 1, maxLength: 20 }),
      fc.array(fc.nat(3), { minLength: 1, maxLength: 40 }),
      (sizes, deliveries, order) => {
        let progress = { generation: 1, epoch: 0, position: zeroPosition as Position };
        let resend = 1;
        let epoch = 0;
        const applied: string[] = [];
        // The queues of all epochs: a sender that does not know that it is replaced still sends.
        const queues: Unit[][] = [];
        const start = () => {
          epoch = resend;
          const from = positions.indexOf(progress.position) + 1;
          queues.push(messagesOf(epoch, from, sizes[queues.length % sizes.length]!));
        };
        start();
        const deliver = (batch: readonly Unit[], cuts: readonly number[]) => {
          const total = batch.reduce((sum, unit) => sum + unit.transactions.length, 0);
          const all = batch.flatMap((unit) => unit.transactions);
          const ends = [...new Set([...cuts.filter((cut) => cut > 0 && cut < total), total])].sort(
            (a, b) => a - b,
          );
          for (const [n, to] of ends.entries()) {
            const result = admit(progress, batch, { from: ends[n - 1] ?? 0, to });
            for (const number of result.numbers) applied.push(all[number]!.position);
            const last = result.numbers.at(-1);
            if (last !== undefined)
              progress = {
                generation: 1,
                epoch: result.header.epoch,
                position: all[last]!.position as Position,
              };
            if (result.gap !== undefined) {
              resend = Math.max(resend, result.gap + 1);
              return;
            }
          }
        };
        for (const [n, { take, drop, again, cuts }] of deliveries.entries()) {
          if (resend > epoch) start();
          const queue = queues[order[n % order.length]! % queues.length]!;
          const batch = queue.splice(0, take);
          if (batch.length === 0) continue;
          if (!drop) deliver(batch, cuts);
          if (again) deliver(batch, []);
        }
        // In the end nothing is lost any more: each gap is healed by a new epoch, until everything has come.
        for (let rounds = 0; applied.length < COUNT; rounds++) {
          expect(rounds).toBeLessThan(4);
          resend = Math.max(resend, epoch + 1);
          start();
          for (const unit of queues.at(-1)!.splice(0)) deliver([unit], []);
        }
        expect(applied).toEqual(positions);
      },
    ),
    { numRuns: 2_000 },
  );
});

test('an older generation is not read, a newer one is an error', () => {
  const units = messagesOf(1, 0, [3]);
  const progress = { generation: 2, epoch: 0, position: zeroPosition };
  expect(admit(progress, units, { from: 0, to: COUNT })).toMatchObject({ numbers: [], gap: undefined });
  expect(() => admit({ ...progress, generation: 0 }, units, { from: 0, to: COUNT })).toThrow('generation');
});
