import { expect, test } from 'vitest';
import { mayStop, needsOldRows, policyOf } from './conflict-config.ts';
import { taskConfig } from './schema.ts';

const objects = { include: [{ schema: 'public' }] };
const issuesOf = (more: object) =>
  taskConfig.safeParse({ objects, ...more }).error?.issues.map(({ path }) => path.join('.')) ?? [];
const resolver = { source: `export default () => 'source'` };

test("a table's own fields stand over the task's", () => {
  const config = taskConfig.parse({
    objects,
    conflictPolicy: 'last-write-wins',
    preferredSide: 'b',
    tablePolicies: [
      { schema: 's', table: 'x', conflictPolicy: 'merge-columns', fallbackPolicy: 'ignore' },
      { schema: 's', table: 'y', onDeleted: 'stay-deleted' },
    ],
    deltaColumns: [{ schema: 's', table: 'y', columns: ['n'] }],
  });
  const [x, y, z] = ['x', 'y', 'z'].map((name) => policyOf(config, { schema: 's', name }));
  expect(x).toMatchObject({
    policy: 'merge-columns',
    fallback: 'ignore',
    preferredSide: 'b',
    deltaColumns: [],
  });
  expect(y).toMatchObject({ policy: 'last-write-wins', onDeleted: 'stay-deleted', deltaColumns: ['n'] });
  expect([x, y, z].map((each) => needsOldRows(each!))).toEqual([true, true, false]);
});

test('what a policy needs must be there', () => {
  expect(issuesOf({ conflictPolicy: 'delta' })).toEqual(['deltaColumns']);
  expect(issuesOf({ conflictPolicy: 'resolver' })).toEqual(['resolver']);
  expect(issuesOf({ conflictPolicy: 'resolver', resolver })).toEqual([]);
  expect(issuesOf({ conflictPolicy: 'resolver', resolver: { source: 'nothing' } })).toEqual([
    'resolver.source',
  ]);
  expect(issuesOf({ tablePolicies: [{ schema: 's', table: 't', conflictPolicy: 'resolver' }] })).toEqual([
    'tablePolicies.0.resolver',
  ]);
  expect(issuesOf({ tablePolicies: [{ schema: 's', table: 't', conflictPolicy: 'delta' }] })).toEqual([
    'tablePolicies.0.conflictPolicy',
  ]);
});

test('a table is named once', () => {
  const table = { schema: 's', table: 't' };
  expect(issuesOf({ tablePolicies: [table, table] })).toEqual(['tablePolicies.1']);
  const columns = { ...table, columns: ['n'] };
  expect(issuesOf({ deltaColumns: [columns, columns] })).toEqual(['deltaColumns.1']);
});

test('which tasks may wait for a choice', () => {
  const may = (more: object) => mayStop(taskConfig.parse({ objects, ...more }));
  expect(may({})).toBe(false);
  expect(may({ conflictPolicy: 'task-failed' })).toBe(true);
  expect(may({ conflictPolicy: 'resolver', resolver })).toBe(true);
  expect(may({ fallbackPolicy: 'task-failed' })).toBe(true);
  expect(may({ tablePolicies: [{ schema: 's', table: 't', conflictPolicy: 'task-failed' }] })).toBe(true);
});
