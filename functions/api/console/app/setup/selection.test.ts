import { expect, test } from 'vitest';
import { entriesOf, everything, linesOf, selectedOf, withSchema, withTable } from './selection.ts';

const tables = ['shop.customer', 'shop.orders', 'public.note', 'log.a.b'].map((text) => {
  const [schema = '', ...name] = text.split('.');
  return { schema, name: name.join('.') };
});
const namesOf = (selection: Parameters<typeof selectedOf>[0]): string[] =>
  selectedOf(selection, tables).map(({ schema, name }) => `${schema}.${name}`);

test('one table is left out and taken again without touching the others', () => {
  const shop = withSchema({ include: [] }, 'shop', true);
  expect(shop).toEqual({ include: [{ schema: 'shop', table: '*' }] });
  const less = withTable(shop, { schema: 'shop', name: 'orders' }, false);
  expect(namesOf(less)).toEqual(['shop.customer']);
  expect(withTable(less, { schema: 'shop', name: 'orders' }, true)).toEqual(shop);
  const more = withTable(less, { schema: 'public', name: 'note' }, true);
  expect(namesOf(more)).toEqual(['shop.customer', 'public.note']);
  expect(withTable(more, { schema: 'public', name: 'note' }, false)).toEqual(less);
});

test('a schema is left out of everything, and taken again', () => {
  const less = withSchema(everything, 'shop', false);
  expect(namesOf(less)).toEqual(['public.note', 'log.a.b']);
  expect(namesOf(withSchema(less, 'shop', true))).toEqual(namesOf(everything));
  // One table of a schema that was left out as a whole: taken by name, what is left out still wins.
  expect(namesOf(withTable(everything, { schema: 'log', name: 'a.b' }, false))).not.toContain('log.a.b');
});

test('entries as text: dots in names, patterns, and the line that is none', () => {
  const entries = [{ schema: 'log', table: 'a.b' }, { schema: 'shop', table: 'order*' }, { schema: 's' }];
  const text = linesOf(entries);
  expect(text).toBe('log."a.b"\nshop.order*\ns.*');
  expect(entriesOf(text)).toEqual({
    entries: [...entries.slice(0, 2), { schema: 's', table: '*' }],
    wrong: undefined,
  });
  expect(entriesOf('shop.orders\n\n a.b.c\n')).toEqual({
    entries: [{ schema: 'shop', table: 'orders' }],
    wrong: 3,
  });
});
