import { expect, test } from 'vitest';
import { openMemoryTable } from '../../test/support/memory-table.ts';
import { type Choice, findChoice, keyHash, readChoices, saveChoice } from './choice.ts';

const item = { schema: 'public', name: 'item' };
const key = keyHash(item, { id: '1' });
const of = (first: string, last: string, more: Partial<Choice> = {}): Choice => ({
  ...{ v: 1, generation: 1, conflict: '7', first, last, key, take: 'source', by: 'me', at: '' },
  ...more,
});

test('the hash knows table, columns and values, not their order', () => {
  expect(keyHash(item, { a: '1', b: '2' })).toBe(keyHash(item, { b: '2', a: '1' }));
  const others = [
    keyHash(item, { a: '2', b: '1' }),
    keyHash({ ...item, name: 'x' }, { a: '1', b: '2' }),
    keyHash(item, { a: '12', b: '' }),
  ];
  expect(new Set([keyHash(item, { a: '1', b: '2' }), ...others]).size).toBe(4);
});

test('however a batch is cut, each change that the conflict stood for finds the choice', () => {
  const choices = [of('0010', '0050')];
  const found = (first: string, last: string, hash = key) => findChoice(choices, first, last, () => [hash]);
  for (const [first, last] of [
    ['0010', '0050'],
    ['0010', '0010'],
    ['0030', '0050'],
    ['0005', '0090'],
  ] as const)
    expect(found(first, last)).toBe('source');
  expect(found('0051', '0060')).toBeUndefined();
  expect(found('0001', '0009')).toBeUndefined();
  expect(found('0010', '0050', keyHash(item, { id: '2' }))).toBeUndefined();
});

test('only those of this run are read; a second choice for one conflict replaces the first', async () => {
  const table = openMemoryTable();
  await saveChoice(table, 't_f', of('0010', '0010', { generation: 0 }));
  await saveChoice(table, 't_f', of('0020', '0020'));
  await saveChoice(table, 't_f', of('0020', '0020', { take: 'destination' }));
  expect(await readChoices(table, 't_f', 1)).toEqual([of('0020', '0020', { take: 'destination' })]);
});
