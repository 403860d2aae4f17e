import { expect, test } from 'vitest';
import { selectedColumns } from './columns.ts';
import { objectSelection } from './schema.ts';

const all = ['id', 'name', 'secret_a', 'secret_b'];
const select = (columns: object[], key = ['id']) =>
  selectedColumns(
    objectSelection.parse({ include: [{ schema: 's' }], columns }),
    { schema: 's', name: 't' },
    all,
    key,
  );

test.each([
  [[], all],
  [[{ schema: 's', table: 'other', exclude: ['name'] }], all],
  [[{ schema: 's', exclude: ['secret_*'] }], ['id', 'name']],
  [[{ schema: 's', table: 't', include: ['id', 'secret_*'], exclude: ['*_b'] }], ['id', 'secret_a']],
  [[{ schema: '*', exclude: ['not there'] }], all],
  [
    [
      { schema: 's', table: 't', include: ['id'] },
      { schema: 's', table: '*', include: ['name'], exclude: ['secret_a'] },
    ],
    ['id', 'name'],
  ],
])('%j gives %j', (columns, expected) => {
  expect(select(columns)).toEqual(expected);
});

test('key columns and names that are not there are refused', () => {
  expect(() => select([{ schema: 's', exclude: ['id'] }])).toThrow(
    'id of s.t can not be left out: rows are told apart by id.',
  );
  expect(() => select([{ schema: 's', table: 't', include: ['id', 'nam'] }])).toThrow(
    's.t has no column nam.',
  );
});
