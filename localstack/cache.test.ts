import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { cacheFolder, installed } from './cache.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'pgtwin-cache-'));
  vi.stubEnv('PGTWIN_CACHE_DIR', folder);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

const fill = (text: string) => async (into: string) => writeFileSync(path.join(into, 'it'), text);

test('a thing is installed once, and anew when what it is made from changes', async () => {
  const first = await installed({ name: 'tool', inputs: ['1'], fill: fill('one') });
  const again = await installed({ name: 'tool', inputs: ['1'], fill: fill('never') });
  const changed = await installed({ name: 'tool', inputs: ['2'], fill: fill('two') });
  expect(again).toBe(first);
  expect(readFileSync(path.join(first, 'it'), 'utf8')).toBe('one');
  expect(readFileSync(path.join(changed, 'it'), 'utf8')).toBe('two');
});

test('an install that fails half way leaves nothing that a later one would use', async () => {
  const broken = async (into: string) => {
    writeFileSync(path.join(into, 'half'), '');
    throw new Error('network gone');
  };
  await expect(installed({ name: 'tool', inputs: [], fill: broken })).rejects.toThrow('network gone');
  expect(readdirSync(cacheFolder())).toEqual([]);
  const whole = await installed({ name: 'tool', inputs: [], fill: fill('whole') });
  expect(existsSync(path.join(whole, 'half'))).toBe(false);
});

test('of two at the same time one installs and the other waits for it', async () => {
  const fills: string[] = [];
  const install = (who: string) =>
    installed({
      name: 'tool',
      inputs: [],
      fill: async (into) => {
        fills.push(who);
        await fill(who)(into);
      },
    });
  const [one, other] = await Promise.all([install('a'), install('b')]);
  expect(one).toBe(other);
  expect(fills).toHaveLength(1);
});

test('a lock whose owner died does not stop anyone', async () => {
  const first = await installed({ name: 'tool', inputs: [], fill: fill('x') });
  rmSync(first, { recursive: true });
  writeFileSync(`${first}.lock`, '999999999');
  expect(await installed({ name: 'tool', inputs: [], fill: fill('y') })).toBe(first);
});
