import { describe, expect, test } from 'vitest';
import { mutations, runMutated, without } from './mutations.ts';
import { policyChoices } from './scenario.ts';
import { simulate } from './simulate.ts';

describe('both sides end identical, nothing owed is lost, nothing seen is a conflict', () => {
  test.each(policyChoices)('with policy %s', (policy) => {
    for (let seed = 1; seed <= 1500; seed++) {
      const { failure } = simulate(seed, policy);
      expect(failure, `npx node test/model/main.ts 1 --seed ${seed} --policy ${policy}`).toBeNull();
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
