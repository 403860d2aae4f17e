import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Decimal } from './decimal.ts';
import { compileEtl } from './plan.ts';
import { etlStep } from './steps.ts';

const columns = [
  { name: 'id', type: 'bigint' },
  { name: 'price', type: 'numeric(12,2)' },
  { name: 'name', type: 'text' },
  { name: 'ok', type: 'boolean' },
  { name: 'ratio', type: 'double precision' },
  { name: 'at', type: 'timestamp with time zone' },
  { name: 'in', type: 'integer' },
];
const plan = (...steps: object[]) =>
  compileEtl(
    's.t',
    steps.map((step) => etlStep.parse(step)),
    columns,
    ['id'],
  );
const row = ['9007199254740993', '10.50', 'ab', 't', '0.1', '2024-01-02 03:04:05.123456+00', '7'];
const set = (value: string, column = 'name', type?: string) => ({
  step: 'set',
  column,
  value,
  ...(type ? { type } : {}),
});

describe('expressions', () => {
  test.each([
    [set('id + 1', 'n', 'bigint'), '9007199254740994'],
    [set('price * decimal("0.1")', 'n', 'numeric'), '1.050'],
    [set('round(price * decimal("0.1"), 1)', 'n', 'numeric'), '1.1'],
    [set('divide(price, decimal(3), 4)', 'n', 'numeric'), '3.5000'],
    [set('price + decimal(id)', 'n', 'numeric'), '9007199254741003.50'],
    [set('price > decimal("10.4") && ok', 'n', 'boolean'), 't'],
    [set('ratio + 0.2', 'n', 'double precision'), '0.30000000000000004'],
    [set('name + "-" + string(id)', 'n', 'text'), 'ab-9007199254740993'],
    [set('at < "2025" ? "old" : "new"', 'n', 'text'), 'old'],
    [set('name.substring(0, 1)', 'n', 'text'), 'a'],
    [set('null', 'n', 'text'), null],
    [set('onlyIf(name == "x", name)', 'n', 'text'), null],
    [set('name in ["ab", "cd"]', 'n', 'boolean'), 't'],
  ])('%j gives %s', (step, value) => {
    expect(plan(step).run(row)!.at(-1)).toBe(value);
  });

  test.each([
    ['price + decimal("1")', 'numeric', null],
    ['isNull(price)', 'boolean', 't'],
    ['isNull(name)', 'boolean', 'f'],
    ['orElse(price, decimal("0")) + decimal("1")', 'numeric', '1'],
    ['isNull(price) || price > decimal("1")', 'boolean', 't'],
    ['price > decimal("1") || ok', 'boolean', 't'],
    ['price > decimal("1") && ok', 'boolean', null],
    ['price > decimal("1") && !ok', 'boolean', 'f'],
  ])('with a null price, %s gives %s', (value, type, expected) => {
    expect(
      plan(set(value, 'n', type))
        .run(row.with(1, null as never))!
        .at(-1),
    ).toBe(expected);
  });

  test.each([
    [set('name +', 'n', 'text'), /at character 7/],
    [set('name.matches("a+")', 'n', 'text'), /matches is not allowed/],
    [set('[1, 2].map(x, x * 2)', 'n', 'text'), /map is not allowed/],
  ])('%j is refused where it is configured', (step, message) => {
    expect(etlStep.safeParse(step).error?.issues[0]?.message).toMatch(message);
  });

  test.each([
    [
      set('name + 1', 'n', 'text'),
      /^s\.t, step 1 \(set\): .*at character 1: no such overload: string \+ int/,
    ],
    [set('nome', 'n', 'text'), /step 1 \(set\): .*Unknown variable: nome/],
    [set('id', 'n'), /the new column n needs a type/],
    [set('id', 'name'), /its value is of type int, the column of text/],
    [set('id', 'id'), /id is part of the key/],
    [{ step: 'drop', column: 'id' }, /id is part of the key/],
    [{ step: 'drop', column: 'x' }, /there is no column x/],
    [{ step: 'rename', column: 'name', to: 'at' }, /there is a column at already/],
    [{ step: 'filter', keep: 'name' }, /its condition is of type string/],
  ])('%j is refused with its place', (step, message) => {
    expect(() => plan(step)).toThrow(message);
  });
});

test('steps follow on each other', () => {
  const steps = plan(
    { step: 'rename', column: 'in', to: 'amount' },
    { step: 'drop', column: 'ratio' },
    set('amount * 2', 'amount'),
    { step: 'cast', column: 'amount', type: 'text' },
    set('amount + "!"', 'amount'),
    { step: 'filter', keep: 'amount != "0!"' },
    set('size(amount)', 'length', 'int4'.replace('int4', 'integer')),
  );
  expect(steps.output.map(({ name, type, source }) => [name, type, source])).toEqual([
    ['id', 'bigint', 'id'],
    ['price', 'numeric(12,2)', 'price'],
    ['name', 'text', 'name'],
    ['ok', 'boolean', 'ok'],
    ['at', 'timestamp with time zone', 'at'],
    ['amount', 'text', undefined],
    ['length', 'integer', undefined],
  ]);
  expect(steps.run(row)?.slice(5)).toEqual(['14!', '3']);
  expect(steps.run(row.with(6, '0'))).toBeUndefined();
  expect(steps.run(row.with(6, null as never))).toBeUndefined();
  expect(steps.keyOnly(row.map((value, n) => (n === 0 ? value : null)))).toEqual([
    row[0],
    null,
    null,
    null,
    null,
    null,
    null,
  ]);
});

test('a value that was not sent is left alone, unless a step needs it', () => {
  const unsent = row.with(2, undefined as never);
  expect(plan(set('id + 1', 'n', 'bigint')).run(unsent)![2]).toBeUndefined();
  expect(() => plan(set('name + "x"')).run(unsent)).toThrow('s.t.name was not changed and not sent');
});

test('values go through unchanged as PostgreSQL wrote them', () => {
  fc.assert(
    fc.property(fc.bigInt(), fc.string(), (id, text) => {
      const out = plan(set('id', 'copy', 'bigint'), set('name', 'other', 'text')).run(
        row.with(0, `${id}`).with(2, text),
      )!;
      expect(out.slice(-2)).toEqual([`${id}`, text]);
    }),
    { numRuns: 100 },
  );
});

const decimal = fc
  .tuple(fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }), fc.nat({ max: 12 }))
  .map(([digits, scale]) => new Decimal(digits, scale));
test('decimals are exact, and print as PostgreSQL does', () => {
  expect(['1.50', '-0.05', '.5', '1e3', '12e-1'].map((text) => Decimal.of(text).toString())).toEqual([
    '1.50',
    '-0.05',
    '0.5',
    '1000',
    '1.2',
  ]);
  expect(['2.5', '-2.5', '2.4'].map((text) => Decimal.of(text).rounded(0).toString())).toEqual([
    '3',
    '-3',
    '2',
  ]);
  fc.assert(
    fc.property(decimal, decimal, (a, b) => {
      expect(Decimal.of(a.toString()).compare(a)).toBe(0);
      expect(a.plus(b).minus(b).compare(a)).toBe(0);
      expect(
        a
          .plus(b)
          .times(a)
          .compare(a.times(a).plus(b.times(a))),
      ).toBe(0);
    }),
    { numRuns: 200 },
  );
});
