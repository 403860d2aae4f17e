import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { itemNames } from './checks.ts';

test('every item has a test on a real database', () => {
  const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.pg.test.ts'));
  const tests = files.map((name) => readFileSync(`${import.meta.dirname}/${name}`, 'utf8')).join('\n');
  expect(itemNames.filter((item) => !tests.includes(`'${item}'`))).toEqual([]);
});
