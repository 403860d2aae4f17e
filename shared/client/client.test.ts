import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createApp } from '../../functions/api/app.ts';
import { openStateFolder } from '../../infra/local/state-folder.ts';
import { openTestApi, storePair, tokens } from '../../test/support/api.ts';
import { allPairs, openApiClient } from './client.ts';
import { findLocalPlatform } from './local-platform.ts';

const objects = { include: [{ schema: 'shop' }] };

function open() {
  const api = openTestApi();
  const app = createApp(api.deps);
  const asked: string[] = [];
  const client = openApiClient({
    url: 'http://api.example.com/',
    token: tokens.admin,
    fetch: (url, init) => {
      asked.push(`${init.method} ${url}`);
      return app.request(url.replace('http://api.example.com', ''), init);
    },
  });
  return { api, client, asked };
}

/** A client whose every request gets this answer. */
const answering = (body: string, status: number) =>
  openApiClient({ url: 'http://api.example.com', token: 't', fetch: () => new Response(body, { status }) });

test('a task configured, read, moved and listed as the contract says', async () => {
  const { api, client, asked } = open();
  const id = await storePair(api);
  const both = await client.configureBoth(id, {
    forward: { objects },
    reverse: { objects, autoStart: true },
  });
  expect(both.reverse).toMatchObject({ configured: true, autoStart: true });
  const own = await client.configureTask(id, 'forward', { objects, conflictPolicy: 'ignore' });
  expect(own.config).toMatchObject({ conflictPolicy: 'ignore', copyParallelism: 4 });
  expect((await client.listEvents(id, 'forward', { limit: 1 })).events).toMatchObject([
    { input: 'configure' },
  ]);
  expect(asked.at(-1)).toBe(`GET http://api.example.com/v1/pairs/${id}/tasks/forward/events?limit=1`);
  expect(await client.act(id, 'reverse', 'release')).toMatchObject({ state: 'Released' });
  expect(await client.deletePair(id)).toBeUndefined();
  expect(await client.openApi()).toMatchObject({ openapi: '3.1.0' });
});

test('all pairs, over all pages', async () => {
  const { api, client } = open();
  const ids: string[] = [];
  for (let n = 0; n < 7; n++) ids.push(await storePair(api, `pair000${n}`));
  const paged = { ...client, listPairs: (page = {}) => client.listPairs({ ...page, limit: 3 }) };
  expect((await allPairs(paged)).map(({ id }) => id).sort()).toEqual(ids);
});

test('a problem document is thrown as the error that it was, with field and advice', async () => {
  const { client } = open();
  const missing = client.getPair('nosuchpair');
  await expect(missing).rejects.toMatchObject({
    code: 'not-found',
    facts: { detail: expect.stringMatching(/nosuchpair/) },
  });
  const invalid = client.createPair({ name: 'x', sides: { a: {}, b: {} } });
  await expect(invalid).rejects.toMatchObject({ code: 'invalid-request', facts: { field: 'sides.a.host' } });
  const newer = { type: 'https://pgtwin.dev/problems/of-tomorrow', detail: 'Too early.', advice: 'Wait.' };
  await expect(answering(JSON.stringify(newer), 409).getPair('x')).rejects.toMatchObject({
    code: 'internal',
    message: 'Too early.',
    facts: { advice: 'Wait.' },
  });
});

test('what does not answer, or is something else, is no API', async () => {
  const taken = createServer().listen(0);
  const { port } = taken.address() as { port: number };
  await new Promise((closed) => taken.close(closed));
  const nobody = openApiClient({ url: `http://127.0.0.1:${port}`, token: 'secret-token' });
  const refused = await nobody.listPairs().catch((error: Error) => error);
  expect(refused).toMatchObject({ code: 'api-unreachable', message: expect.stringMatching(/ECONNREFUSED/) });
  expect(String(refused)).not.toContain('secret-token');
  for (const [body, status] of [
    ['<html>', 200],
    ['<html>', 502],
    ['{"message":"Forbidden"}', 403],
  ] as const)
    await expect(answering(body, status).listPairs()).rejects.toMatchObject({ code: 'api-unreachable' });
});

test('the local platform of a folder is found while it runs', async () => {
  const home = mkdtempSync(join(tmpdir(), 'pgtwin-client-'));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  expect(await findLocalPlatform(home)).toBeUndefined();
  expect(await findLocalPlatform(join(home, 'nowhere'))).toBeUndefined();
  const folder = await openStateFolder(home);
  expect(await findLocalPlatform(home)).toBeUndefined();
  folder.serves('http://127.0.0.1:8700');
  expect(await findLocalPlatform(home)).toEqual({ url: 'http://127.0.0.1:8700', token: folder.token });
  folder.release();
  expect(await findLocalPlatform(home)).toBeUndefined();
});
