import { expect, test } from 'vitest';
import { runChaos } from '../chaos/run.ts';
import { scheduleOf } from '../chaos/schedule.ts';
import { hotTransaction, ledgerTransaction } from '../chaos/transactions.ts';
import { randomOf } from '../model/random.ts';

/** The short form of `npm run test:chaos`: an answer is lost, a server crashes, apply is killed. */
const SEED = 288;

test('random writes on both sides and three faults: identical, exact, nothing lost', async () => {
  const printed: string[] = [];
  const result = await runChaos(
    { seed: SEED, seconds: 7, policy: 'last-write-wins', shards: 1, only: undefined, mostFaults: 3 },
    (line) => printed.push(line),
  );
  expect(result, printed.join('\n')).toMatchObject({
    faults: 3,
    converged: true,
    lost: 0,
    deadLetters: 0,
    internal: 0,
  });
  expect(result.writes).toBeGreaterThan(100);
  expect(result.conflicts).toBeGreaterThan(0);
});

test('the same seed gives the same writes and faults', () => {
  const writes = (): unknown => {
    const random = randomOf(SEED);
    return Array.from({ length: 200 }, (_, n) => [
      hotTransaction(random, 'a', n),
      ledgerTransaction(random, 'b', n),
    ]);
  };
  expect(writes()).toEqual(writes());
  expect(scheduleOf(SEED, 60)).toEqual(scheduleOf(SEED, 60));
  expect(scheduleOf(SEED, 60)).not.toEqual(scheduleOf(SEED + 1, 60));
  expect(scheduleOf(SEED, 20)).toEqual(scheduleOf(SEED, 60).slice(0, scheduleOf(SEED, 20).length));
});
