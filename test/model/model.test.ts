import { describe, expect, test } from 'vitest';
import { mutations, runMutated, without } from './mutations.ts';
import { policyChoices } from './scenario.ts';
import { simulate } from './simulate.ts';

describe('both sides end identical, nothing owed is lost, nothing seen is a conflict', () => {
  test.each([...policyChoices, 'foreign-keys' as const, 'shards' as const])('with policy %s', (policy) => {
    for (let seed = 1; seed <= 1500; seed++) {
      const { failure } = simulate(seed, policy);
      expect(failure, `npx node test/model/main.ts 1 --seed ${seed} --policy ${policy}`).toBeNull();
    }
  });
});

describe('a clock that is off by minutes, and steps back', () => {
  const minutes = 7n * 60n * 1_000_000n;
  test.each(['last-write-wins', 'merge-columns', 'delta'] as const)('both ends agree with %s', (policy) => {
    for (let seed = 1; seed <= 150; seed++)
      for (const clock of [minutes, -minutes])
        expect(simulate(seed, policy, undefined, clock).failure, `seed ${seed}`).toBeNull();
  });

  test('the same is in conflict', () => {
    for (let seed = 1; seed <= 250; seed++) {
      // Whoever wins changes what is written next: where times decide nothing, all is the same.
      const [right, ...others] = [0n, minutes, -minutes].map((clock) =>
        simulate(seed, 'ignore', undefined, clock),
      );
      if (right!.onDeleted === 'by-time') continue;
      for (const { kinds } of others) expect(kinds, `seed ${seed}`).toEqual(right!.kinds);
    }
  });
});

describe('the model notices when a rule is removed', () => {
  test.each(mutations.map((mutation) => [mutation.rule, mutation] as const))(
    '%s',
    async (_rule, mutation) => {
      const { failed, first } = await runMutated(mutation, 1, mutation.seed ?? 1);
      expect(failed, `seed ${mutation.seed} still ends well without ${mutation.rule}`).toBe(1);
      console.log(`without ${mutation.rule}: ${first}`);
    },
  );

  test('a rule that is not where it should be is an error', () => {
    expect(() => without({ rule: 'no-such', file: 'f' }, 'text')).toThrow('0 lines');
  });
});
