import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildConsole } from '../../../infra/console.ts';
import { openTestApi } from '../../../test/support/api.ts';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pgtwin-console-'));
  await buildConsole(folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the page and its files: policy, types, and how long they may be kept', async () => {
  const { call } = openTestApi({ consoleFolder: folder });
  const page = await call('GET', '/console/', { as: 'nobody' });
  expect(page.status).toBe(200);
  const policy = page.headers.get('content-security-policy') ?? '';
  for (const rule of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"])
    expect(policy.split('; ')).toContain(rule);
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toMatch(/unsafe|data:|https?:/);
  expect(Object.fromEntries(page.headers)).toMatchObject({
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-cache',
    'x-content-type-options': 'nosniff',
  });
  // Nothing inline, and nothing from elsewhere.
  expect(page.text).not.toMatch(/<script(?![^>]*src=)|<style|style=|\son\w+=|\/\//);
  const names = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, name]) => name);
  expect(names).toHaveLength(3);
  const types = { js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml' };
  for (const [end, type] of Object.entries(types)) {
    const name = names.find((each) => each?.endsWith(`.${end}`));
    expect(name).toMatch(/^\w+-[A-Z0-9]{8}[.]/);
    const file = await call('GET', `/console/${name}`, { as: 'nobody' });
    expect(file.status).toBe(200);
    expect(file.headers.get('content-type')).toBe(`${type}; charset=utf-8`);
    expect(file.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    expect(file.headers.get('content-security-policy')).toBe(policy);
  }
});

test('without a slash it leads to the page, below whatever path it lies at', async () => {
  const { call } = openTestApi({ consoleFolder: folder });
  const moved = await call('GET', '/console', { as: 'nobody' });
  expect(moved.status).toBe(308);
  expect(new URL(moved.headers.get('location') ?? '', 'https://example.com/stage/console').pathname).toBe(
    '/stage/console/',
  );
});

test('only its own files are given, and a service without them says so', async () => {
  const { call } = openTestApi({ consoleFolder: folder });
  for (const path of ['..%2f..%2fpackage.json', '%2e%2e/routes.ts', 'main.js', 'a/b'])
    expect((await call('GET', `/console/${path}`, { as: 'nobody' })).status).toBe(404);
  const without = await openTestApi().call('GET', '/console/', { as: 'nobody' });
  expect(without.status).toBe(404);
  expect(without.body.detail).toMatch(/built without the console/);
});
