import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ListedTable } from '../postgres/catalog.ts';
import { idOf, type ShardFacts } from '../postgres/shard-facts.ts';
import { shardOfName } from '../stream/shard.ts';
import { taskConfig } from './schema.ts';
import { decideShards, namedOnA, type PlannedTable, placed, plannedTables, shardsBy } from './shard-plan.ts';

const table = (name: string) => ({ schema: 'public', name });
const nameOf = (name: string): string => idOf(table(name));
const planned = (names: readonly string[], reason?: string): PlannedTable[] =>
  names.map((name) => ({ a: table(name), b: table(name), onA: nameOf(name), reason }));
type Told = { readonly references?: readonly (readonly [string, string])[] } & {
  readonly [Of in 'reasons' | 'keys']?: Readonly<Record<string, string>>;
};
const factsOf = ({ references = [], reasons = {}, keys = {} }: Told = {}): ShardFacts => ({
  reasons: new Map(Object.entries(reasons).map(([name, reason]) => [nameOf(name), reason])),
  keys: new Map(Object.entries(keys).map(([name, key]) => [nameOf(name), key])),
  references: references.map(([one, other]) => [table(one), table(other)]),
});
const decide = (tables: readonly PlannedTable[], a: Told = {}, b: Told = {}) =>
  decideShards(tables, { a: factsOf(a), b: factsOf(b) });

describe('the decision', () => {
  test('tables that foreign keys join, over others too, go with the smallest name among them', () => {
    const a: Told['references'] = [
      ['d', 'c'],
      ['c', 'b'],
      ['b', 'd'],
    ];
    // One database alone may have it; of tables that are not selected nothing is known.
    const b: Told['references'] = [
      ['e', 'a'],
      ['a', 'outside'],
      ['d', 'outside'],
    ];
    const plan = decide(planned(['d', 'b', 'c', 'a', 'e'], 'joined'), { references: a }, { references: b });
    expect(plan).toMatchObject({
      byKey: [],
      groups: { [nameOf('c')]: nameOf('b'), [nameOf('d')]: nameOf('b'), [nameOf('e')]: nameOf('a') },
    });
    const shardOf = shardsBy(plan, 7);
    for (const name of ['b', 'c', 'd']) expect(shardOf(nameOf(name))).toBe(shardOfName(nameOf('b'), 7));
    expect(shardOf(nameOf('later'))).toBe(shardOfName(nameOf('later'), 7));
  });

  test('does not depend on the order, and all that is joined is in one shard', () => {
    const name = fc.constantFrom(...'abcdefgh');
    const list = fc.array(fc.tuple(name, name), { maxLength: 12 });
    fc.assert(
      fc.property(list, fc.integer({ min: 2, max: 16 }), (references, shards) => {
        const plan = decide(planned([...'abcdefgh'], 'joined'), { references });
        const turned = { references: references.toReversed() };
        expect(decide(planned([...'hgfedcba'], 'joined'), {}, turned)).toEqual(plan);
        const shardOf = shardsBy(plan, shards);
        for (const [one, other] of references) expect(shardOf(nameOf(one))).toBe(shardOf(nameOf(other)));
        for (const [each, leader] of Object.entries(plan.groups)) expect(leader < each).toBe(true);
      }),
    );
  });

  test('by key goes what neither task nor either database has a reason against', () => {
    const tables = [...planned(['free', 'on_a', 'on_b', 'other_key']), ...planned(['kept'], 'why')];
    const keys = { free: 'id int8', other_key: 'id int8' };
    const a = { reasons: { on_a: 'why' }, keys };
    const b = { reasons: { on_b: 'why' }, keys: { ...keys, other_key: 'id int4' } };
    expect(decide(tables, a, b).byKey).toEqual([nameOf('free')]);
  });

  const many = Array.from({ length: 5000 }, (_, n) => `${String(n).padStart(4, '0')}_${'é'.repeat(29)}`);
  const bytesOf = (plan: object): number => Buffer.byteLength(JSON.stringify(plan));

  test('a plan that would not fit into its item: tables leave those by key from the end', () => {
    const plan = decide(planned(many));
    expect(bytesOf(plan)).toBeLessThanOrEqual(350_000);
    expect(bytesOf(plan)).toBeGreaterThan(349_000);
    expect(plan.byKey).toEqual(many.slice(0, plan.byKey.length).map(nameOf));
    const last = nameOf(many.at(-1)!);
    expect(shardsBy(plan, 4)(nameOf(many[0]!))).toBe('key');
    expect(shardsBy(plan, 4)(last)).toBe(shardOfName(last, 4));
  });

  test('groups that would not fit: all that does not go by key goes together', () => {
    const joined = many.slice(0, 4000);
    const references = joined.slice(1).map((name, n) => [name, joined[n]!] as const);
    const plan = decide([...planned(joined, 'joined'), ...planned(many.slice(4000))], { references });
    expect(bytesOf(plan)).toBeLessThanOrEqual(350_000);
    expect(plan.byKey).toHaveLength(1000);
    expect(new Set(joined.map((name) => shardsBy(plan, 16)(nameOf(name)))).size).toBe(1);
  });
});

const configOf = (more: object = {}, objects: object = {}) =>
  taskConfig.parse({ objects: { include: [{ schema: 'public' }], ...objects }, ...more });
const listedAs = (name: string): ListedTable => ({
  ...table(name),
  ...{ kind: 'ordinary', persistence: 'permanent', partitionOf: null, extension: false },
});

describe('what the tasks have against it', () => {
  const plain = configOf();
  const prepared = { ...table('t'), key: ['id'] };
  const reasonWith = (
    own: ReturnType<typeof configOf>,
    other?: ReturnType<typeof configOf>,
    { arbiter = 'b', listed = ['t'] }: { arbiter?: 'a' | 'b'; listed?: readonly string[] } = {},
  ) => {
    const theirs = other && { config: other, listed: listed.map(listedAs) };
    const all = plannedTables({ direction: 'forward', config: own, tables: [prepared] }, theirs, arbiter);
    return all.find(({ onA }) => onA === nameOf('t'))?.reason;
  };

  test('nothing, for a table that both carry whole, that the other one is going to find, or of a single task', () => {
    expect(reasonWith(plain, plain)).toBeUndefined();
    expect(reasonWith(plain, plain, { listed: [] })).toBeUndefined();
    expect(reasonWith(plain)).toBeUndefined();
  });

  const of = { schema: 'public', table: 't' };
  test.each([
    ['its rows are filtered', { filters: [{ ...of, where: 'v > 0' }] }],
    ['its rows are changed on their way', { etl: [{ ...of, steps: [{ step: 'drop', column: 'v' }] }] }],
    ['not all of its columns are carried', { columns: [{ ...of, exclude: ['v'] }] }],
    ['operations on it are left out', { operations: [{ ...of, truncate: false }] }],
    ['it has another name on the other side', { mapping: { names: [{ ...of, to: 'u' }] } }],
    [
      'its columns may have other names on the other side',
      { mapping: { names: [{ ...of, column: 'v', to: 'w' }] } },
    ],
  ])('%s, by either task', (reason, objects) => {
    expect(reasonWith(configOf({}, objects), plain)).toBe(reason);
    const back = 'mapping' in objects && !('column' in objects.mapping.names[0]!);
    expect(reasonWith(plain, configOf({}, objects))).toBe(back ? 'only one of both tasks has it' : reason);
    if (!('mapping' in objects))
      expect(reasonWith(plain, configOf({}, objects), { listed: [] })).toBe(reason);
  });

  test('each side decides for itself, where the task says so that ends at the arbiter', () => {
    const apart = 'each side decides its conflicts for itself';
    const eachSide = configOf({ decide: 'each-side' });
    expect(reasonWith(eachSide, plain)).toBe(apart);
    expect(reasonWith(eachSide, plain, { arbiter: 'a' })).toBeUndefined();
    expect(reasonWith(plain, eachSide, { arbiter: 'a' })).toBe(apart);
    expect(reasonWith(plain, configOf({ operations: { truncate: false } }))).toBe(apart);
  });

  test('only one of both tasks has it', () => {
    const without = configOf({}, { exclude: [of] });
    expect(reasonWith(plain, without)).toBe('only one of both tasks has it');
    expect(reasonWith(plain, without, { listed: [] })).toBe('only one of both tasks has it');
    const own = { direction: 'forward', config: plain, tables: [] } as const;
    expect(plannedTables(own, { config: plain, listed: [listedAs('t')] }, 'b')).toEqual(
      planned(['t'], 'only one of both tasks has it'),
    );
  });

  test('with other names on side b, both tasks name a table alike', () => {
    const there = { schema: 'archive', name: 'old_t' };
    const to = configOf({}, { mapping: { names: [{ ...of, to: 'old_t', toSchema: 'archive' }] } });
    const back = { schema: 'archive', table: 'old_t', to: 't', toSchema: 'public' };
    const from = configOf({}, { mapping: { names: [back] } });
    const one = { a: table('t'), b: there, onA: nameOf('t') };
    expect(placed('forward', to, table('t'))).toEqual(one);
    expect(placed('reverse', from, there)).toEqual(one);
    const told = { reasons: new Map([[idOf(there), 'why']]), keys: new Map([[idOf(there), 'id int8']]) };
    const named = namedOnA({ ...told, references: [[there, table('x')]] }, [{ ...one, reason: undefined }]);
    expect(named).toEqual(
      factsOf({ reasons: { t: 'why' }, keys: { t: 'id int8' }, references: [['t', 'x']] }),
    );
  });
});
