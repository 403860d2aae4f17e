import { describe, expect, test } from 'vitest';
import { keyOf } from './model.ts';
import { rewriteText } from './rename.ts';

const names = {
  relations: new Map([
    [keyOf({ schema: 'public', name: 'item' }), { schema: 'shop', name: 'Item' }],
    [keyOf({ schema: 'My "S"', name: 'seq' }), { schema: 'shop', name: "s'q" }],
  ]),
  functions: new Map([[keyOf({ schema: 'public', name: 'item' }), { schema: 'shop', name: 'make_item' }]]),
  queried: new Set([keyOf({ schema: 'public', name: 'item' })]),
};

describe('names in texts that PostgreSQL printed', () => {
  test.each([
    ['FOREIGN KEY (a) REFERENCES public.item(id)', 'FOREIGN KEY (a) REFERENCES "shop"."Item"(id)'],
    ["'a'::public.item[]", `'a'::"shop"."Item"[]`],
    ["'public.item'::text", "'public.item'::text"],
    ['nextval(\'"My ""S""".seq\'::regclass)', `nextval('"shop"."s''q"'::regclass)`],
    ['$x$ public.item $x$ public.item', '$x$ public.item $x$ "shop"."Item"'],
    ['"public"."item".id + x.public', '"shop"."Item".id + x.public'],
    ['public.items', 'public.items'],
    ["E'\\' public.item' || public.item(1)", `E'\\' public.item' || "shop"."make_item"(1)`],
  ])('%s', (text, rewritten) => {
    expect(rewriteText(text, names)).toBe(rewritten);
  });

  test('a query keeps the old name as the alias, unless it has one', () => {
    expect(rewriteText(' SELECT item.id FROM public.item\n WHERE item.a', names, true)).toBe(
      ' SELECT item.id FROM "shop"."Item" as item\n WHERE item.a',
    );
    expect(rewriteText(' SELECT i.id FROM public.item i, LATERAL x', names, true)).toBe(
      ' SELECT i.id FROM "shop"."Item" i, LATERAL x',
    );
  });
});
