import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { inverseNames, isInverse, type MappableTable, mappingOf, mapTables } from './mapping.ts';
import { nameMapping } from './objects.ts';

const mapping = (given: object) => mappingOf(nameMapping.parse(given));
const orders = { schema: 'shop', name: 'Orders' };

describe('names', () => {
  test.each([
    [{}, 'shop.Orders', 'Id'],
    [{ capitalization: 'source' }, 'shop.Orders', 'Id'],
    [{ capitalization: 'lower' }, 'shop.orders', 'id'],
    [{ capitalization: 'upper' }, 'SHOP.ORDERS', 'ID'],
    [{ rules: [{ level: 'table', prefix: 'old_', suffix: '_x' }] }, 'shop.old_Orders_x', 'Id'],
    [{ rules: [{ level: 'table', schema: 'other', prefix: 'old_' }] }, 'shop.Orders', 'Id'],
    [
      { rules: [{ level: 'column', table: 'Ord*', column: 'I*', match: '^(.)', replace: '$1_' }] },
      'shop.Orders',
      'I_d',
    ],
    [{ rules: [{ level: 'schema', match: 'o', replace: '0' }] }, 'sh0p.Orders', 'Id'],
    [{ names: [{ schema: 'shop', to: 'Archive' }], capitalization: 'lower' }, 'Archive.orders', 'id'],
    [
      {
        names: [
          { schema: 'shop', to: 'archive' },
          { schema: 'shop', table: 'Orders', to: 'o', toSchema: 'p' },
          { schema: 'shop', table: 'Orders', column: 'Id', to: 'key' },
        ],
        rules: [{ level: 'column', prefix: 'x' }],
      },
      'p.o',
      'key',
    ],
  ])('%j', (given, table, column) => {
    const to = mapping(given).table(orders);
    expect([`${to.schema}.${to.name}`, mapping(given).column(orders, 'Id')]).toEqual([table, column]);
  });

  test('two that would be called the same are refused, both named', () => {
    const tables = ['a', 'A'].map((name) => ({ schema: 's', name, columns: ['x', 'X'] }));
    expect(() => mapTables(mapping({ capitalization: 'lower' }), tables.slice(0, 1))).toThrow(
      'Columns x and X of s.a would both be called x on the destination.',
    );
    expect(() =>
      mapTables(mapping({ rules: [{ level: 'table', match: '.*', replace: 't' }] }), tables),
    ).toThrow('s.a and s.A would both be called s.t on the destination.');
  });

  test.each([
    [{ rules: [{ level: 'table', prefix: 'ä'.repeat(31) }] }, 'names have at most 63'],
    [{ rules: [{ level: 'table', match: '.*' }] }, 'leaves nothing of the name Orders'],
  ])('a name that PostgreSQL can not have is refused: %j', (given, message) => {
    expect(() => mapTables(mapping(given), [{ ...orders, columns: [] }])).toThrow(message);
  });

  test.each([
    ['(', 'is not a regular expression'],
    ['^(a+)+$', 'backtracks without end'],
  ])('the expression %s is refused', (match, message) => {
    const parsed = nameMapping.safeParse({ rules: [{ level: 'table', match }] });
    expect(parsed.error?.issues[0]?.message).toContain(message);
  });
});

const name = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 8 });
const rule = fc.record(
  {
    level: fc.constantFrom('schema', 'table', 'column'),
    prefix: fc.string({ maxLength: 3 }),
    suffix: fc.string({ minLength: 1, maxLength: 3 }),
    table: fc.constantFrom('*', 'a*'),
  },
  { requiredKeys: ['level', 'suffix'] },
);
const tables = fc.uniqueArray(
  fc.record({ schema: name, name, columns: fc.uniqueArray(name, { minLength: 1, maxLength: 4 }) }),
  { selector: (t: MappableTable) => `${t.schema}\0${t.name}`, maxLength: 6 },
);
const given = fc.record({
  capitalization: fc.constantFrom('default', 'lower', 'upper'),
  rules: fc.array(rule, { maxLength: 3 }),
});

describe('properties', () => {
  test('what is accepted has no two names alike, and the inverse names lead exactly back', () => {
    let accepted = 0;
    fc.assert(
      fc.property(tables, given, (list, config) => {
        const there = mapping(config);
        let mapped: ReturnType<typeof mapTables>;
        try {
          mapped = mapTables(there, list);
        } catch {
          return;
        }
        accepted += 1;
        expect(new Set(mapped.map(({ destination: d }) => `${d.schema}\0${d.name}`)).size).toBe(list.length);
        const back = mapping({ names: inverseNames(mapped) });
        for (const table of mapped) {
          expect(isInverse(back, table)).toBe(true);
          expect(new Set(table.columns.map((c) => c.destination)).size).toBe(table.columns.length);
        }
        const again = mapTables(
          back,
          mapped.map((t) => ({ ...t.destination, columns: t.columns.map((c) => c.destination) })),
        );
        expect(
          again.map(({ destination, columns }) => ({
            ...destination,
            columns: columns.map((c) => c.destination),
          })),
        ).toEqual(list.map(({ schema, name: n, columns }) => ({ schema, name: n, columns })));
      }),
      { numRuns: 300 },
    );
    expect(accepted).toBeGreaterThan(100);
  });
});
