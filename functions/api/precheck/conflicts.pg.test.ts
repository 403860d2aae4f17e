import { expect, test } from 'vitest';
import { openDatabase } from '../../../test/support/database.ts';
import { applyFix, checkItem } from '../../../test/support/precheck.ts';

const schema = `create table item (id int primary key, n int, ratio float8, code numeric unique);
  create table part (id int, n int, primary key (id)) partition by range (id);
  create table part_1 partition of part for values from (0) to (100)`;
const objects = { include: [{ schema: 'public' }] };

test('merge-columns and delta need REPLICA IDENTITY FULL where changes come from, and the fix gives it', async () => {
  await using a = await openDatabase('a', { schema });
  await using b = await openDatabase('b', { schema });
  const config = {
    objects,
    tablePolicies: [{ schema: 'public', table: 'item', conflictPolicy: 'merge-columns' }],
    deltaColumns: [{ schema: 'public', table: 'part', columns: ['n'] }],
  };
  const setting = { a, b, config, opposite: {} };
  const found = await checkItem('old-rows', setting);
  expect(found).toMatchObject({ status: 'failed', ignorable: false });
  expect(found.fix.map(({ sql }) => sql)).toEqual([
    'alter table "public"."item" replica identity full;',
    'alter table "public"."part_1" replica identity full;',
  ]);
  await applyFix(found, setting);
  expect(await checkItem('old-rows', setting)).toMatchObject({ status: 'passed' });
  // At the other side nothing is decided.
  expect(await checkItem('old-rows', { ...setting, direction: 'reverse' })).toMatchObject({
    status: 'passed',
  });
  expect(
    await checkItem('old-rows', {
      ...setting,
      direction: 'reverse',
      config: { ...config, decide: 'each-side' },
    }),
  ).toMatchObject({ status: 'failed' });
});

test('delta columns must be numbers that add up', async () => {
  await using a = await openDatabase('a', { schema });
  await using b = await openDatabase('b');
  const check = (...columns: string[]) =>
    checkItem('policy-settings', {
      ...{ a, b },
      config: { objects, deltaColumns: [{ schema: 'public', table: 'item', columns }] },
    });
  expect(await check('n')).toMatchObject({ status: 'passed' });
  for (const [column, why] of [
    ['id', /part of a unique key/],
    ['code', /part of a unique key/],
    ['ratio', /double precision/],
    ['missing', /does not exist/],
  ] as const)
    expect(await check('n', column)).toMatchObject({ status: 'failed', cause: expect.stringMatching(why) });
  const stray = { ...{ a, b }, config: { objects, tablePolicies: [{ schema: 'x', table: 'y' }] } };
  expect(await checkItem('policy-settings', stray)).toMatchObject({ status: 'alert', details: ['x.y'] });
});

test('who decides, whose policies count, and which tables are not mirrored', async () => {
  await using a = await openDatabase('a', {
    schema: `${schema}; create table only_here (id int primary key);
      create table other_key (x int, y int, primary key (x, y));
      create table child (id int primary key, item int references item)`,
  });
  await using b = await openDatabase('b', {
    schema: `${schema}; create table other_key (x int, y int, primary key (y, x));
      create table child (id int primary key, item int references item)`,
  });
  const item = (name: string, more: object = {}, opposite: object = {}) =>
    checkItem(name, {
      ...{ a, b },
      config: { objects, ...more },
      opposite: { config: { objects, ...opposite } },
    });

  expect(await item('decide')).toMatchObject({ status: 'passed', cause: expect.stringMatching(/Side b/) });
  expect(await item('decide', { decide: 'each-side' })).toMatchObject({ status: 'alert', ignorable: true });
  expect(await item('policies')).toMatchObject({ status: 'passed' });
  const contrary = await item('policies', { conflictPolicy: 'ignore' });
  expect(contrary).toMatchObject({
    status: 'alert',
    cause: expect.stringMatching(/those of this task count/),
  });
  expect(contrary.details).toContain('public.item: ignore here, overwrite there');

  const apart = { objects: { ...objects, exclude: [{ schema: 'public', table: 'only_here' }] } };
  const found = await item('mirrored-tables', {}, apart);
  expect(found).toMatchObject({ status: 'alert', ignorable: true });
  expect(found.details).toEqual([
    'public.only_here: not selected by the opposite task',
    'public.other_key: its key is not the same on both sides',
  ]);
  const partly = await item('mirrored-tables', { operations: { delete: false } });
  expect(partly.details).toContain('public.item: delete left out');

  expect(await item('foreign-key-conflicts')).toMatchObject({
    status: 'passed',
    cause: expect.stringMatching(/brings it back/),
  });
  const keys = await item('foreign-key-conflicts', { decide: 'each-side' });
  expect(keys).toMatchObject({ status: 'alert', ignorable: true });
  expect(keys.details[0]).toMatch(/public\.child, .*: refers to public\.item/);
});
