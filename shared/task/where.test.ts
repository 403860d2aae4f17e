import { expect, test } from 'vitest';
import { readCondition } from './where.ts';

test.each([
  ['id > 10', ['id'], true],
  [`region in ('eu', 'us') and not (id = 1 or "Big" is null)`, ['region', 'id', 'Big'], true],
  [`lower(region) = 'eu'`, ['region'], false],
  [`at >= '2024-01-01'::date`, ['at'], false],
  [`tags @> '{a}'`, ['tags'], false],
  ['case when ok then n > 1 else true end', ['ok', 'n'], false],
  [`-- why\n id = 1 -- because`, ['id'], true],
])('%s', async (where, columns, simple) => {
  expect(await readCondition(where)).toEqual({ columns, simple });
});

test.each([
  ['id =', /at character \d+: syntax error/],
  ['id = 1) or (id = 2', /syntax error/],
  ['id = 1); drop table t; select (1', /syntax error/],
  ['id = 1 group by id', /syntax error/],
  ['id = 1) union select (1', /syntax error/],
  ['id in (select 1)', /has a subquery/],
  ['id = $1', /has a parameter/],
  ['t.id = 1', /names a column with its table/],
  ['id = 1 /*', /unterminated/],
])('%s is refused', async (where, message) => {
  await expect(readCondition(where)).rejects.toThrow(message);
});
