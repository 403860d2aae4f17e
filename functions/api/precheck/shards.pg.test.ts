import { expect, test } from 'vitest';
import { idOf } from '../../../shared/postgres/shard-facts.ts';
import { openDatabase } from '../../../test/support/database.ts';
import { checkItem } from '../../../test/support/precheck.ts';

const schema = `create table item (id int primary key, n int); create table log (id int8 primary key);
  create table part (id int primary key, item int references kind);`;

test('how tables are spread, and that transactions are not whole', async () => {
  await using a = await openDatabase('a', {
    schema: `create table kind (id int primary key); ${schema}`,
  });
  await using b = await openDatabase('b', { schema: 'create table item (id int primary key, n int unique)' });
  expect(await checkItem('shards', { a, b, opposite: {} })).toMatchObject({ status: 'passed', details: [] });
  const setting = { a, b, shards: 4, opposite: { state: 'PrecheckPassed' as const } };
  expect(await checkItem('shards', setting)).toMatchObject({
    status: 'alert',
    ignorable: true,
    cause: expect.stringMatching(/^Changes go to 4 shards, .* transactions are not whole/),
    details: [
      'by key: public.log',
      'by table: public.item, since on side b it has a unique index or exclusion constraint beside its primary key',
      'by table: public.kind, since on side a a foreign key goes from or to it',
      'by table: public.part (with public.kind), since on side a a foreign key goes from or to it',
    ],
  });
  expect(await checkItem('shards', { ...setting, direction: 'reverse' })).toMatchObject({
    status: 'alert',
    details: [
      'by key: none',
      expect.stringMatching(/^by table: public.item, since on side b/),
      '3 tables not there yet: see the precheck of the forward task',
    ],
  });
});

test('once the opposite task runs, its plan counts, and what does not fit it fails', async () => {
  const both = {
    schema: 'create table item (id int primary key, n int); create table log (id int primary key)',
  };
  await using a = await openDatabase('a', both);
  await using b = await openDatabase('b', both);
  const byKey = [idOf({ schema: 'public', name: 'item' })];
  const plan = { v: 1, byKey, groups: {}, runs: { precheck_f: 0 } } as const;
  const setting = { a, b, shards: 2, direction: 'reverse', opposite: {}, plan: { ...plan, byKey } } as const;
  expect(await checkItem('shards', setting)).toMatchObject({
    status: 'alert',
    details: ['by key: public.item', 'by table: public.log'],
  });
  const filters = [{ schema: 'public', table: 'item', where: 'n > 0' }];
  const config = { objects: { include: [{ schema: 'public' }], filters } };
  expect(await checkItem('shards', { ...setting, config })).toMatchObject({
    status: 'failed',
    ignorable: false,
    details: ['public.item: its rows are filtered', expect.stringMatching(/restart the opposite task first/)],
  });
  // Nobody goes by it: it is made anew, and what is filtered goes by table.
  const idle = { ...setting, opposite: { state: 'PrecheckPassed' }, config } as const;
  expect(await checkItem('shards', idle)).toMatchObject({
    status: 'alert',
    details: ['by key: public.log', 'by table: public.item, since its rows are filtered'],
  });
});
