import { expect, test } from 'vitest';
import { keyOf } from './model.ts';
import { rewriteNames, wordsOf } from './words.ts';

const names = new Map([
  ['a', 'A 1'],
  ['lower', 'down'],
  ['text', 'words'],
  ['C', 'c'],
  ['Ref', 'ref'],
]);

test.each([
  ['CHECK ((a > 0))', 'CHECK (("A 1" > 0))'],
  ["CHECK ((lower(a) <> 'a'::text))", `CHECK ((lower("A 1") <> 'a'::text))`],
  ['(lower || text)', '("down" || "words")'],
  ['btree (a, "C" COLLATE "C")', 'btree ("A 1", "c" COLLATE "C")'],
  ['FOREIGN KEY (a, "Ref")', 'FOREIGN KEY ("A 1", "ref")'],
  ['(a OPERATOR(public.a) x.a)', '("A 1" OPERATOR(public.a) x.a)'],
  ["$x$ a $x$ E'\\' a' a", `$x$ a $x$ E'\\' a' "A 1"`],
])('%s', (text, expected) => {
  expect(rewriteNames(text, names)).toBe(expected);
});

test('keywords are no columns, and tables are known by their schema', () => {
  const words = wordsOf(' REFERENCES shop."Item"(id) ON DELETE CASCADE');
  expect([...words.columns]).toEqual(['id']);
  expect([...words.relations]).toEqual([keyOf({ schema: 'shop', name: 'Item' })]);
});
