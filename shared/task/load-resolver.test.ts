import { describe, expect, test } from 'vitest';
import type { Contest } from '../conflict/policies/policy.ts';
import { compileResolver, loadResolver } from './load-resolver.ts';

const table = { name: 'public.item', columns: ['id', 'n', 't'], key: [0], uniques: [] };
const contest: Contest = {
  kind: 'update_origin_differs',
  table,
  key: ['1'],
  source: { row: ['1', '5', 'from'], time: 1_700_000_000_000_001n, side: 'a' },
  local: { row: ['1', '7', null], time: null, side: 'b' },
  base: null,
};

describe('what a resolver is given and may return', () => {
  test.each([
    ['a verdict', `export default () => 'destination'`, 'destination'],
    [
      'a row, over the destination',
      `export default ({ source, destination }) => ({ n: String(Number(source.row.n) + Number(destination.row.n)) })`,
      ['1', '12', null],
    ],
    ['numbers and booleans as text', 'export default () => ({ n: 3, t: true })', ['1', '3', 'true']],
    [
      'names, times and sides',
      `export default function (c) { return { t: JSON.stringify([c.kind, c.table, c.key, c.source.time, c.destination.side, c.base]) } }`,
      ['1', '7', '["update_origin_differs","public.item",{"id":"1"},1700000000000001,"b",null]'],
    ],
    [
      'code around the function',
      `const least = 6;\nexport default decide;\nfunction decide({ source }) { return source.row.n < least ? 'source' : 'delete'; }`,
      'source',
    ],
  ])('%s', (_, source, answer) => {
    expect(compileResolver(source)).toBeUndefined();
    expect(loadResolver(source)(contest)).toEqual(answer);
  });
});

describe('anything else stops the task', () => {
  test.each([
    ['an exception', `export default () => { throw new Error('no') }`],
    ['nothing', 'export default () => undefined'],
    ['an unknown word', `export default () => 'mine'`],
    ['a promise', `export default async () => 'source'`],
    ['an unknown column', 'export default () => ({ x: 1 })'],
    ['a value that is none', 'export default () => ({ n: [1] })'],
    ['an array', `export default () => ['1', '2', '3']`],
    ['no function', 'export default 5'],
    ['a module that throws', `null.x;\nexport default () => 'source'`],
    ['no I/O: require', `export default () => require('node:fs') && 'source'`],
    ['no I/O: process', `export default () => process.exit(1)`],
    ['no I/O: fetch', `export default () => fetch('http://localhost') && 'source'`],
    ['no timers', `export default () => setTimeout(() => {}) && 'source'`],
    ['no code from text', `export default () => (() => {}).constructor('return process')() && 'source'`],
    ['no import of code', `export default () => { import('node:fs'); return 'source' }`],
    ['no promises', `export default () => { new Promise((_, no) => no()); return 'source' }`],
    ['an endless loop', 'export default () => { for (;;); }'],
  ])('%s', (_, source) => {
    expect(loadResolver(source, 50)(contest)).toBe('fail');
  });
});

test('a resolver that was too slow once decides again', () => {
  const resolver = loadResolver(
    `export default ({ source }) => { if (source.row.n === '5') for (;;); return 'source' }`,
    50,
  );
  expect(resolver(contest)).toBe('fail');
  expect(resolver({ ...contest, source: { ...contest.source, row: ['1', '6', null] } })).toBe('source');
});

test.each([
  ['no default export', `const f = () => 'source'`, /one "export default"/],
  ['two', `export default 1\nexport default 2`, /one "export default"/],
  ['an import', `import fs from 'node:fs'\nexport default () => 'source'`, /neither import nor export/],
  ['another export', `export const x = 1\nexport default () => 'source'`, /neither import nor export/],
  ['an answer that comes later', `export default async () => 'source'`, /must answer at once/],
  ['a syntax error', 'export default () => {', /not valid JavaScript/],
])('refused with the configuration: %s', (_, source, why) => {
  expect(compileResolver(source)).toMatch(why);
});
