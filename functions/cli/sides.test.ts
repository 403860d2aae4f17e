import { expect, test } from 'vitest';
import { entryOf } from './configuration.ts';
import { readJson, readSide } from './sides.ts';

const url = 'postgres://sync@a.example.com/shop';

test('a password comes from the URL, a secret, the environment, or a person, in this order', async () => {
  const questions: string[] = [];
  const ask = async (question: string, how?: { readonly hidden?: boolean }): Promise<string> => {
    questions.push(`${how?.hidden} ${question}`);
    return 'asked';
  };
  const variables = { PGTWIN_B_PASSWORD: 'of b', PGPASSWORD: 'of both' };
  const full = 'postgres://sync:given@a.example.com/shop';
  expect(await readSide('a', { url: full }, { variables, ask })).toEqual({ url: full });
  expect(await readSide('a', { url, secret: 'local:x' }, { variables, ask })).toEqual({
    url,
    secret: 'local:x',
  });
  expect(await readSide('b', { url }, { variables, ask })).toEqual({ url, password: 'of b' });
  expect(await readSide('a', { url }, { variables, ask })).toEqual({ url, password: 'of both' });
  expect(questions).toEqual([]);
  expect(await readSide('a', {}, { variables: { PGTWIN_A: url }, ask })).toEqual({ url, password: 'asked' });
  expect(questions).toEqual(['true Password of sync for side a (a.example.com/shop): ']);
  const alone = readSide('a', { url }, { variables: {} });
  await expect(alone).rejects.toThrow(/side a needs a password: set PGTWIN_A_PASSWORD/);
  await expect(readSide('b', {}, { variables: {} })).rejects.toThrow(/--b \(or PGTWIN_B\)/);
});

test('a server on this machine needs no TLS', async () => {
  const here = 'postgres://u:p@localhost/shop';
  expect(await readSide('a', { url: here }, { variables: {} })).toEqual({ url: here, tls: 'disable' });
});

test('a file that is not JSON is named, and never shown', async () => {
  const io = { readFile: async () => '{"password": hunter2' };
  const reading = readJson(io, 'pair.json');
  await expect(reading).rejects.toThrow(/^--file pair.json must hold one JSON object$/);
});

test.each([
  ['shop', { schema: 'shop' }],
  ['*', { schema: '*' }],
  ['shop.order*', { schema: 'shop', table: 'order*' }],
  ['"a.b"."c ""d"', { schema: 'a.b', table: 'c "d' }],
  ['shop."a.b"', { schema: 'shop', table: 'a.b' }],
])('objects: %s', (text, entry) => {
  expect(entryOf(text, '--include')).toEqual(entry);
});

test.each(['', '.', 'a.', '.b', 'a.b.c', '"a', 'a"b'])('objects that are none: %s', (text) => {
  expect(() => entryOf(text, '--include')).toThrow(/--include must be like/);
});
