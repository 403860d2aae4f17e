import { expect, test } from 'vitest';
import { openTestApi } from '../../test/support/api.ts';
import { newToken, startApi } from './entry-node.ts';

test('the API answers over HTTP with a token made for the run, and stops', async () => {
  const { text, token } = newToken();
  const { deps } = openTestApi({ tokens: [token] });
  const api = await startApi(deps, { port: 0 });
  expect((await fetch(`${api.url}/healthz`)).status).toBe(200);
  expect((await fetch(`${api.url}/v1/pairs`)).status).toBe(401);
  const listed = await fetch(`${api.url}/v1/pairs`, { headers: { authorization: `Bearer ${text}` } });
  expect(await listed.json()).toEqual({ pairs: [] });
  await expect(startApi(deps, { port: api.port })).rejects.toThrow(/EADDRINUSE/);
  await api.stop();
  await expect(fetch(`${api.url}/healthz`)).rejects.toThrow();
});
