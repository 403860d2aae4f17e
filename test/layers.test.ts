import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { circles, factsOf, type Import, loads, readSources } from './support/imports.ts';

/**
 * The layers of the code: data flows capture -> stream format -> apply, imports only downwards. Each test prints what
 * breaks its rule as `from -> to`.
 */
const root = path.join(import.meta.dirname, '..');
const sources = readSources(root, ['functions', 'shared', 'infra', 'test', 'localstack']);
const all = sources.flatMap(({ imports }) => imports);

const isTest = (file: string): boolean => /[.]test[.]tsx?$/.test(file);
const top = (file: string): string => file.split('/')[0] ?? '';
/** `capture` of `functions/capture/main.ts`. */
const area = (file: string): string => file.split('/')[1] ?? '';
const show = ({ from, to }: Import): string => `${from} -> ${to}`;
const product = all.filter(({ from }) => ['functions', 'shared'].includes(top(from)));

/** What each folder of `shared/` may import beside itself. */
const order = ['errors', 'log', 'config', 'postgres', 'stream', 'conflict', 'etl', 'task', 'copy', 'verify'];
const allowedInShared = new Map<string, readonly string[]>([
  ...order.map((name, index): [string, string[]] => [name, order.slice(0, index + 1)]),
  // These stand at the side: nothing in `shared/` imports them.
  ['aws', [...order, 'aws']],
  ['client', [...order, 'client']],
]);

/** Code that decides and never waits: it may load nothing of the outside world, through others neither. */
const pure = [
  /^shared\/conflict\//,
  /^shared\/stream\/(position|builder)[.]ts$/,
  /^shared\/task\/machine[.]ts$/,
  /^shared\/copy\/chunks[.]ts$/,
  /^shared\/verify\/(compare|sql|twin)[.]ts$/,
  /^functions\/capture\/confirm[.]ts$/,
  /^functions\/apply\/(net-change|plan|failures)[.]ts$/,
];
const harmless = [
  'node:assert',
  'node:assert/strict',
  'node:buffer',
  'node:crypto',
  'node:util',
  'node:vm',
  'node:zlib',
  'zod',
];

// A hint, no rule.
const long = sources.filter(({ lines }) => lines > 400).map(({ file, lines }) => `${file} (${lines} lines)`);
if (long.length > 0) console.log(`Better split: ${long.join(', ')}`);

describe('the reader of imports', () => {
  test('sees every kind of import, and the environment', () => {
    const text = `
      import type { A } from './a.ts'; import { type B } from '../b.ts'; export { c } from './c.ts';
      export * from 'd'; const e = await import('./e.ts'); type F = import('./f.ts').F;
    `;
    const { imports } = factsOf('shared/x/y.ts', text);
    expect(imports.map(({ to, ours, typeOnly }) => [to, ours, typeOnly])).toEqual([
      ['shared/x/a.ts', true, true],
      ['shared/b.ts', true, false],
      ['shared/x/c.ts', true, false],
      ['d', false, false],
      ['shared/x/e.ts', true, false],
      ['shared/x/f.ts', true, true],
    ]);
    const reads = (line: string): boolean => factsOf('a.ts', line).readsEnvironment;
    expect(reads(`process.env['HOME'];`)).toBe(true);
    expect(reads(`import { env } from 'node:process';`)).toBe(true);
    expect(reads(`const { env } = settings; other.env; 'process.env';`)).toBe(false);
  });

  test('finds circles and what is loaded through others', () => {
    const at = (from: string, to: string, ours = true): Import => ({ from, to, ours, typeOnly: false });
    const imports = [at('a', 'b'), at('b', 'c'), at('c', 'b'), at('c', 'pg', false), at('a', 'd')];
    expect(circles(imports)).toEqual([['b', 'c', 'b']]);
    expect(loads('a', imports)).toEqual(new Map([['pg', ['a', 'b', 'c', 'pg']]]));
  });

  test('has read the code', () => {
    expect(new Set(sources.map(({ file }) => top(file)))).toEqual(
      new Set(['functions', 'infra', 'localstack', 'shared', 'test']),
    );
    expect(all.length).toBeGreaterThan(500);
    const lost = all.filter(({ to, ours }) => ours && !existsSync(path.join(root, to)));
    expect(lost.map(show)).toEqual([]);
  });
});

describe('layers', () => {
  test('a function imports no other function', () => {
    const wrong = all.filter(
      ({ from, to, ours }) =>
        ours && top(from) === 'functions' && top(to) === 'functions' && area(from) !== area(to),
    );
    expect(wrong.map(show)).toEqual([]);
  });

  test('functions and shared code know nothing of infra, tests and LocalStack', () => {
    const outside = ['infra', 'localstack', 'test'];
    const wrong = product.filter(({ from, to, ours }) => ours && !isTest(from) && outside.includes(top(to)));
    expect(wrong.map(show)).toEqual([]);
  });

  test('shared code imports only downwards, and no function', () => {
    const wrong = product.filter(({ from, to, ours }) => {
      if (!ours || isTest(from) || top(from) !== 'shared') return false;
      return (
        top(to) === 'functions' ||
        (top(to) === 'shared' && !allowedInShared.get(area(from))?.includes(area(to)))
      );
    });
    expect(wrong.map(show)).toEqual([]);
  });

  test('what decides loads nothing that waits', () => {
    const files = sources
      .map(({ file }) => file)
      .filter((file) => !isTest(file) && pure.some((one) => one.test(file)));
    expect(files.length).toBeGreaterThan(20);
    const wrong = files.flatMap((file) => [...loads(file, all)].filter(([name]) => !harmless.includes(name)));
    expect(wrong.map(([, way]) => way.join(' -> '))).toEqual([]);
  });

  test('only the adapters import the AWS SDK', () => {
    const wrong = product.filter(({ from, to }) => area(from) !== 'aws' && to.startsWith('@aws-sdk/'));
    expect(wrong.map(show)).toEqual([]);
  });

  test('only the capture’s source knows the replication library', () => {
    const wrong = product.filter(
      ({ from, to }) => to.startsWith('pg-logical-replication') && from !== 'functions/capture/source.ts',
    );
    expect(wrong.map(show)).toEqual([]);
  });

  test('only the configuration reads the environment', () => {
    const wrong = sources.filter(
      ({ file, readsEnvironment }) =>
        readsEnvironment &&
        ['functions', 'shared'].includes(top(file)) &&
        !file.startsWith('shared/config/') &&
        !isTest(file),
    );
    expect(wrong.map(({ file }) => file)).toEqual([]);
  });

  test('no circles at run time, and none of types beyond the known ones', () => {
    // An executor works for one delivery and carries its type; the delivery makes the executor.
    const known = ['test/model/executor.ts -> test/model/apply.ts'];
    const rest = all.filter((each) => !(each.typeOnly && known.includes(show(each))));
    expect(circles(rest).map((circle) => circle.join(' -> '))).toEqual([]);
  });
});
