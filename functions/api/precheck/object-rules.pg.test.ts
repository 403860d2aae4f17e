import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDatabase, type TestDatabase } from '../../../test/support/database.ts';
import { applyFix, checkItem } from '../../../test/support/precheck.ts';

let a: TestDatabase;
let b: TestDatabase;
beforeAll(async () => {
  a = await openDatabase('a', {
    schema: `create table one (id int primary key, region text, n numeric, more text);
      create table "One" (id int primary key); create table big (id int primary key, n int, t text);
      create function later(int) returns boolean language plpgsql volatile as 'begin return true; end'`,
  });
  b = await openDatabase('b');
});
afterAll(async () => {
  await a[Symbol.asyncDispose]();
  await b[Symbol.asyncDispose]();
});

const objects = (more: object, table = '*') => ({
  config: { objects: { include: [{ schema: 'public', table }], ...more } },
});
const where = (table: string, condition: string) =>
  objects({ filters: [{ schema: 'public', table, where: condition }] }, table);
const steps = (...list: object[]) =>
  objects({ etl: [{ schema: 'public', table: 'one', steps: list }] }, 'one');

describe('what a selection says of objects', () => {
  test.each([
    [
      'columns',
      objects({ columns: [{ schema: 'public', table: 'one', exclude: ['i*'] }] }),
      /id of public\.one can not be left out/,
    ],
    [
      'columns',
      objects({ columns: [{ schema: 'public', table: 'one', exclude: ['x'] }] }),
      /public\.one has no column x/,
    ],
    [
      'object-names',
      objects({ mapping: { capitalization: 'lower' } }),
      /public\.One and public\.one would both be called public\.one/,
    ],
    [
      'object-names',
      objects({ mapping: { rules: [{ level: 'table', suffix: 'x'.repeat(62) }] } }),
      /names have at most 63/,
    ],
    ['row-filters', where('one', 'id ='), /syntax error/],
    ['row-filters', where('one', 'nothing = 1'), /column "nothing" does not exist/],
    ['row-filters', where('one', 'n'), /must be type boolean/],
    ['row-filters', where('one', 'public.later(id)'), /IMMUTABLE/],
    ['row-filters', where('one', "now() > '2024-01-01'"), /IMMUTABLE/],
    ['row-filters', where('one', 'exists (select 1)'), /has a subquery/],
    ['row-filters', where('one', 'sum(n) > 1'), /aggregate functions are not allowed/],
    ['etl', steps({ step: 'set', column: 'region', value: 'region + 1' }), /step 1 \(set\).*at character 1/],
    ['etl', steps({ step: 'drop', column: 'id' }), /part of the key/],
  ])('%s fails: %j', async (item, setting, says) => {
    const found = await checkItem(item, { a, b, ...setting });
    expect(found).toMatchObject({ status: 'failed', ignorable: false });
    expect(found.cause).toMatch(says);
    // Whatever was tried is undone.
    expect(await a.rows(`select to_regclass('pg_temp.pgtwin_filter') as left`)).toEqual([{ left: null }]);
  });

  test.each([
    ['columns', objects({ columns: [{ schema: 'public', exclude: ['reg*', 't'] }] })],
    ['object-names', objects({ mapping: { rules: [{ level: 'table', prefix: 'x_' }] } })],
    ['row-filters', where('big', 'id % 2 = 0')],
    ['etl', steps({ step: 'rename', column: 'more', to: 'less' })],
  ])('%s passes or only warns: %j', async (item, setting) => {
    expect((await checkItem(item, { a, b, ...setting })).status).not.toBe('failed');
  });

  test('conditions and steps over values that may be kept apart need the whole old row; the fix gives it', async () => {
    const condition = { a, b, ...where('one', "region = 'eu'") };
    const step = { a, b, ...steps({ step: 'set', column: 'region', value: 'region + "!"' }) };
    for (const [item, setting] of [
      ['row-filters', condition],
      ['etl', step],
    ] as const)
      expect(await checkItem(item, setting)).toMatchObject({
        status: 'failed',
        details: ['public.one: region'],
      });
    await applyFix(await checkItem('row-filters', condition), condition);
    expect((await checkItem('row-filters', condition)).status).toBe('passed');
    expect((await checkItem('etl', step)).status).toBe('passed');
    const key = { a, b, ...where('big', 'id > 1') };
    const found = await checkItem('row-filters', key);
    expect(found).toMatchObject({
      status: 'alert',
      details: [expect.stringContaining('public.big: t'), expect.anything()],
    });
    await applyFix(found, key);
    expect((await checkItem('row-filters', key)).status).toBe('passed');
  });

  test('tables that are not the same on both sides are named, with the reason', async () => {
    const mapped = objects({ mapping: { rules: [{ level: 'table', prefix: 'x_' }] } }, 'big').config;
    const back = {
      objects: { include: [{ schema: 'public' }], mapping: { rules: [{ level: 'table', match: '^x_' }] } },
    };
    const mirrored = (config: object, opposite: object) =>
      checkItem('mirrored-tables', { a, b, config, opposite: { config: opposite } });
    expect((await mirrored(mapped, back)).status).toBe('passed');
    const reasons = [
      [mapped, { objects: { include: [{ schema: 'public' }] } }, 'does not give its names back'],
      [where('big', 'id > 1').config, { objects: back.objects }, 'filtered or changed'],
      [
        objects({ operations: [{ schema: 'public', table: 'big', delete: false }] }, 'big').config,
        { objects: { include: [{ schema: 'public' }] } },
        'delete left out',
      ],
    ] as const;
    for (const [config, opposite, why] of reasons)
      expect(await mirrored(config, opposite)).toMatchObject({
        status: 'alert',
        ignorable: true,
        details: [expect.stringContaining(why)],
      });
  });
});
