import { expect, test } from 'vitest';
import { netChanges, originalsOf, type SourceChange } from './net.ts';

const change = (text: string): SourceChange & { readonly text: string } => {
  const [op, key, ...rest] = text.split(' ') as [SourceChange['op'], string, ...string[]];
  const base = { op, table: 't', key: key ?? '', text };
  if (op === 'move') return { ...base, to: rest[0]! };
  return rest.length > 0 ? { ...base, row: rest.map((value) => (value === '~' ? undefined : value)) } : base;
};

const net = (...changes: string[]): string[] =>
  netChanges(changes.map(change)).map(
    ({ op, key, to, row, barrier }) =>
      `${barrier ? '| ' : ''}${[op, key, to, ...(row ?? []).map((value) => value ?? '~')].filter(Boolean).join(' ')}`,
  );

test('a row changed twice is one change, unsent values filled from the earlier', () => {
  expect(net('update a 1 ~ 3', 'update a ~ 2 ~')).toEqual(['update a 1 2 3']);
  expect(net('insert a 1 2', 'update a 3 ~', 'update b 1 1')).toEqual(['insert a 3 2', 'update b 1 1']);
  expect(net('update a 1', 'delete a')).toEqual(['delete a']);
  expect(net('insert a 1', 'delete a')).toEqual([]);
});

test('a deletion followed by an insert stays two, and undone leaves the deletion', () => {
  expect(net('delete a', 'insert a 1', 'update a 2')).toEqual(['delete a', 'insert a 2']);
  expect(net('delete a', 'insert a 1', 'delete a')).toEqual(['delete a']);
  expect(net('delete a', 'insert a 1', 'delete a', 'insert a 2')).toEqual(['delete a', 'insert a 2']);
});

test('a row that came back by the other side stands at its place', () => {
  expect(net('delete a', 'update a 1', 'update a 2')).toEqual(['delete a', '| update a 1', 'update a 2']);
  expect(net('update a 1', 'insert a 2')).toEqual(['update a 1', '| insert a 2']);
});

test('control rows, key changes and truncates end the runs of what they name', () => {
  expect(net('update a 1', 'update b 1', 'pull a', 'update a 2', 'update b 2')).toEqual([
    'update a 1',
    'update b 2',
    '| pull a',
    'update a 2',
  ]);
  expect(net('update a 1', 'move a b', 'update a 2', 'update b 3', 'update b 4')).toEqual([
    'update a 1',
    '| move a b',
    'update a 2',
    'update b 4',
  ]);
  expect(net('update a 1', 'truncate', 'insert a 2')).toEqual(['update a 1', '| truncate', 'insert a 2']);
});

test('a net change keeps its originals in order, the first one and the last', () => {
  const [only] = netChanges(['insert a 1', 'update a 2', 'update a 3'].map(change));
  expect(originalsOf(only!).map(({ text }) => text)).toEqual(['insert a 1', 'update a 2', 'update a 3']);
  expect([only!.first.text, only!.last.text]).toEqual(['insert a 1', 'update a 3']);
});

test('a hundred thousand changes of a thousand keys take no time to speak of', () => {
  const changes = Array.from({ length: 100_000 }, (_, index) => change(`update k${index % 1000} ${index}`));
  const started = performance.now();
  expect(netChanges(changes)).toHaveLength(1000);
  expect(performance.now() - started).toBeLessThan(2000);
});
