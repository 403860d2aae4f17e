import { expect, test } from 'vitest';
import { taskConfig } from '../task/schema.ts';
import { policyWinner } from './policy-winner.ts';

const configOf = (fields: object) => taskConfig.parse({ objects: { include: [{ schema: 's' }] }, ...fields });
const names = { a: { schema: 's', name: 'here' }, b: { schema: 's', name: 'there' } };
const both = { way: 'both', names } as const;

test.each([
  ['overwrite', 'b', 'a'],
  ['overwrite', 'a', 'b'],
  ['ignore', 'b', 'b'],
  ['last-write-wins', 'a', 'a'],
  ['source-priority', 'b', 'a'],
])('%s with arbiter %s: side %s', (conflictPolicy, arbiter, winner) => {
  const config = configOf({ conflictPolicy });
  const of = { arbiter: arbiter as 'a' | 'b' };
  expect(policyWinner(of, { forward: config, reverse: config }, both)).toBe(winner);
});

test("a table's own policy, by its name at the source of the task that decides", () => {
  const own = (table: string) =>
    configOf({
      conflictPolicy: 'ignore',
      tablePolicies: [{ schema: 's', table, conflictPolicy: 'source-priority', preferredSide: 'a' }],
    });
  expect(policyWinner({ arbiter: 'b' }, { forward: own('here'), reverse: own('x') }, both)).toBe('a');
  expect(policyWinner({ arbiter: 'b' }, { forward: own('there'), reverse: own('x') }, both)).toBe('b');
});

test('one way only the source can win', () => {
  const configs = { forward: configOf({ conflictPolicy: 'ignore' }) };
  expect(policyWinner({ arbiter: 'b' }, configs, { way: 'forward', names })).toBe('a');
  expect(policyWinner({ arbiter: 'b' }, {}, { way: 'reverse', names })).toBe('b');
});
