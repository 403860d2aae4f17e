import { describe, expect, test } from 'vitest';
import { keyOfTable, matcherOf, missingNames, selectTables } from './selection.ts';

const table = (text: string, root?: string) => {
  const [schema = '', name = ''] = text.split('.');
  const [rootSchema = '', rootName = ''] = root?.split('.') ?? [];
  return { schema, name, root: root ? { schema: rootSchema, name: rootName } : undefined };
};
const names = (tables: readonly { schema: string; name: string }[]) =>
  tables.map((each) => `${each.schema}.${each.name}`);

const tables = [
  table('shop.item'),
  table('shop.item_log'),
  table('shop.Item.2'),
  table('audit.log'),
  table('shop.event'),
  table('shop.event_2026', 'shop.event'),
];

describe('patterns', () => {
  test('a star stands for any run of characters, everything else for itself', () => {
    expect(matcherOf('*')('')).toBe(true);
    expect(matcherOf('item*')('item_log')).toBe(true);
    expect(matcherOf('item*')('Item')).toBe(false);
    expect(matcherOf('*log')('log')).toBe(true);
    expect(matcherOf('a*b*c')('a--b\nb--c')).toBe(true);
    expect(matcherOf('a.c')('abc')).toBe(false);
    expect(matcherOf('a.*')('abc')).toBe(false);
    expect(matcherOf('$(x)[y]*')('$(x)[y]z')).toBe(true);
  });
});

describe('selection', () => {
  test('a schema is all its tables, and exclude wins', () => {
    const selection = {
      include: [{ schema: 'shop', table: '*' }],
      exclude: [{ schema: '*', table: '*_log' }],
    };
    expect(names(selectTables(selection, tables))).toEqual([
      'shop.item',
      'shop.Item',
      'shop.event',
      'shop.event_2026',
    ]);
  });

  test('a partitioned table stands for its partitions, also when it is excluded', () => {
    const root = [{ schema: 'shop', table: 'event' }];
    expect(names(selectTables({ include: root, exclude: [] }, tables))).toEqual([
      'shop.event',
      'shop.event_2026',
    ]);
    expect(
      names(selectTables({ include: [{ schema: 'shop', table: 'event*' }], exclude: root }, tables)),
    ).toEqual([]);
  });

  test('names without a pattern that are not there are named', () => {
    const selection = {
      include: [
        { schema: 'shop', table: 'item' },
        { schema: 'shop', table: 'itme' },
        { schema: 'none', table: '*' },
      ],
      exclude: [],
    };
    expect(names(missingNames(selection, tables))).toEqual(['shop.itme']);
  });

  test('a name can not be mistaken for another through its separator', () => {
    expect(keyOfTable({ schema: 'a.b', name: 'c' })).not.toBe(keyOfTable({ schema: 'a', name: 'b.c' }));
  });
});
