import { expect, test } from 'vitest';
import { openDatabase } from '../../../test/support/database.ts';
import { applyFix, checkItem } from '../../../test/support/precheck.ts';

const schema = `create table item (id int primary key, n int, doc text);
  create table other (id int primary key, n int)`;
const table = { schema: 'public', table: 'item' };
const include = [{ schema: 'public', table: '*' }];

test('what the configuration says of objects must fit the tables; the way out is named', async () => {
  await using a = await openDatabase('a', { schema });
  await using b = await openDatabase('b', { schema: 'create table item (id int primary key, n int)' });
  const check = (item: string, objects: object, more: object = {}) =>
    checkItem(item, { a, b, config: { objects: { include, ...objects }, ...more } });
  const wrong: [string, object, RegExp][] = [
    ['columns', { columns: [{ ...table, include: ['id', 'missing'] }] }, /missing/],
    ['columns', { columns: [{ ...table, exclude: ['id'] }] }, /id/],
    ['object-names', { mapping: { names: [{ ...table, to: 'other' }] } }, /other/],
    ['row-filters', { filters: [{ ...table, where: 'missing > 1' }] }, /missing/],
    ['etl', { etl: [{ ...table, steps: [{ step: 'drop', column: 'missing' }] }] }, /missing/],
  ];
  for (const [item, objects, says] of wrong) {
    const found = await check(item, objects);
    expect(found, item).toMatchObject({ status: 'failed', ignorable: false });
    expect(found.cause, item).toMatch(says);
    expect(found.details.join(), item).toMatch(/Correct objects\./);
  }
  const right: [string, object][] = [
    ['columns', { columns: [{ ...table, include: ['id', 'n'] }] }],
    ['object-names', { mapping: { names: [{ ...table, to: 'article' }] } }],
    ['row-filters', { filters: [{ ...table, where: 'id > 1' }] }],
    ['etl', {}],
  ];
  for (const [item, objects] of right) expect((await check(item, objects)).status, item).not.toBe('failed');

  const lacking = await check('shared-columns', {}, { conflictingTables: 'ignore' });
  expect(lacking).toMatchObject({ status: 'alert', ignorable: true });
  expect(lacking.details.join()).toMatch(/public\.item\.doc/);
  await b.query('alter table item add column doc text');
  expect((await check('shared-columns', {}, { conflictingTables: 'ignore' })).status).toBe('passed');
});

test('a condition on a large value needs the old row, and the fix gives it', async () => {
  await using a = await openDatabase('a', { schema });
  await using b = await openDatabase('b');
  const config = { objects: { include, filters: [{ ...table, where: `doc <> 'secret'` }] } };
  const setting = { a, b, config };
  const before = await checkItem('row-filters', setting);
  expect(before).toMatchObject({
    status: 'failed',
    fix: [{ side: 'source', sql: 'alter table "public"."item" replica identity full;' }],
  });
  await applyFix(before, setting);
  expect(await checkItem('row-filters', setting)).toMatchObject({ status: 'passed' });
});
