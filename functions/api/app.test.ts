import { describe, expect, test } from 'vitest';
import { openTestApi, storePair } from '../../test/support/api.ts';
import { createApp } from './app.ts';
import { parseTokens } from './auth.ts';

const objects = { include: [{ schema: 'public', table: '*' }] };

describe('who may do what', () => {
  test('health and the description need no token, everything else does', async () => {
    const { call } = openTestApi();
    expect((await call('GET', '/healthz', { as: 'nobody' })).body).toEqual({ status: 'ok' });
    expect((await call('GET', '/openapi.json', { as: 'nobody' })).status).toBe(200);
    const refused = await call('GET', 'pairs', { as: 'nobody' });
    expect(refused.status).toBe(401);
    expect(refused.headers.get('content-type')).toBe('application/problem+json');
    expect(refused.headers.get('www-authenticate')).toBe('Bearer');
    expect(refused.body.type).toBe('https://pgtwin.dev/problems/unauthorized');
  });

  test('a wrong token is refused, and a service without tokens refuses all and says why', async () => {
    const api = openTestApi();
    const wrong = { authorization: 'Bearer not-one-of-ours-at-all' };
    expect((await api.call('GET', 'pairs', { headers: wrong })).status).toBe(401);
    const bare = createApp({ ...api.deps, tokens: [] });
    const answer = await bare.request('/v1/pairs', { headers: { authorization: 'Bearer x' } });
    expect(answer.status).toBe(401);
    expect(await answer.text()).toContain('PGTWIN_API_TOKENS');
  });

  test('a pair that was stored before there were shards has one', async () => {
    const api = openTestApi();
    const id = await storePair(api);
    const item = (await api.table.get('pairs', id))!;
    const { shards: _shards, ...before } = item.body as Record<string, unknown>;
    await api.table.put({ ...item, body: before }, 'any');
    expect((await api.call('GET', `pairs/${id}`)).body.shards).toBe(1);
  });

  test('roles: a viewer reads, an operator acts, an admin configures and removes', async () => {
    const api = openTestApi();
    const id = await storePair(api);
    const status = async (as: 'viewer' | 'operator', method: string, path: string, body?: unknown) =>
      (await api.call(method, path, { as, ...(body === undefined ? {} : { body }) })).status;
    expect(await status('viewer', 'GET', `pairs/${id}`)).toBe(200);
    expect(await status('viewer', 'POST', `pairs/${id}/tasks/forward/pause`)).toBe(403);
    expect(await status('operator', 'POST', `pairs/${id}/tasks/forward/pause`)).toBe(409);
    expect(await status('operator', 'PUT', `pairs/${id}/tasks/forward`, { objects })).toBe(403);
    expect(await status('operator', 'DELETE', `pairs/${id}`)).toBe(403);
    // A comparison is not allowed yet, its repair never to an operator.
    expect(await status('operator', 'POST', `pairs/${id}/verifications`, {})).toBe(409);
    expect(await status('operator', 'POST', `pairs/${id}/verifications`, { repair: 'a' })).toBe(403);
    expect(await status('operator', 'POST', 'pairs', {})).toBe(403);
  });

  test.each(['viewer', 'operator', 'admin'] as const)('a %s is told its name and role', async (as) => {
    const { call } = openTestApi();
    const { status, body } = await call('GET', 'whoami', { as });
    expect(status).toBe(200);
    expect(body).toEqual({ name: expect.stringMatching(/./), role: as });
    expect((await call('GET', 'whoami', { as: 'nobody' })).status).toBe(401);
  });

  test('tokens are read from name:role:token, and an entry that is wrong is named by its place only', () => {
    expect(parseTokens('ci:operator:abc:def:0123456789,me:admin:0123456789abcdef')).toMatchObject([
      { name: 'ci', role: 'operator' },
      { name: 'me', role: 'admin' },
    ]);
    expect(parseTokens(undefined)).toEqual([]);
    const refusal = (text: string): string => {
      try {
        parseTokens(text);
      } catch (error) {
        return String(error);
      }
      return '';
    };
    expect(refusal('me:root:supersecretsupersecret')).toMatch(/entry 1: the role/);
    expect(refusal('me:root:supersecretsupersecret')).not.toContain('supersecret');
    expect(refusal('me:admin:short')).toMatch(/16 characters/);
    expect(refusal('me:admin:0123456789abcdef,me:viewer:0123456789abcdef')).toMatch(/twice/);
  });
});

describe('bad input', () => {
  const a = { host: 'a.example.com', database: 'shop', user: 'sync', password: 'hunter2-hunter2' };

  test('an empty body that is marked as JSON is no body, where a body may be left out', async () => {
    const api = openTestApi();
    const id = await storePair(api);
    const json = { headers: { 'content-type': 'application/json' } };
    expect(await api.call('POST', `pairs/${id}/precheck`, { ...json, raw: '' })).toMatchObject({
      status: 200,
    });
    const task = `pairs/${id}/tasks/forward`;
    const notYet = { status: 409, body: { type: expect.stringMatching(/action-not-allowed$/) } };
    expect(await api.call('POST', `${task}/precheck`, { ...json, raw: '' })).toMatchObject(notYet);
    expect(await api.call('POST', `${task}/pause`, { ...json, raw: '' })).toMatchObject(notYet);
    const malformed = await api.call('POST', `${task}/precheck`, { ...json, raw: '{' });
    expect(malformed).toMatchObject({ status: 400 });
    expect(await api.call('POST', `${task}/precheck`, { raw: '{"ignoreAll": true}' })).toMatchObject({
      status: 422,
      body: { field: 'ignoreAll' },
    });
  });

  test('malformed JSON, a wrong content type, no body', async () => {
    const { call } = openTestApi();
    const malformed = await call('POST', 'pairs', { raw: '{"name": "x",' });
    expect(malformed).toMatchObject({
      status: 400,
      body: { type: expect.stringMatching(/malformed-json$/) },
    });
    expect(malformed.body.advice).toMatch(/JSON/);
    const form = await call('POST', 'pairs', { raw: 'a=b', headers: { 'content-type': 'text/plain' } });
    expect(form).toMatchObject({
      status: 415,
      body: { type: expect.stringMatching(/unsupported-media-type$/) },
    });
    expect((await call('POST', 'pairs')).status).toBeGreaterThanOrEqual(400);
  });

  test('a body over the limit', async () => {
    const { call } = openTestApi();
    const answer = await call('POST', 'pairs', { raw: JSON.stringify({ name: 'x'.repeat(3_000_000) }) });
    expect(answer).toMatchObject({ status: 413, body: { type: expect.stringMatching(/body-too-large$/) } });
  });

  test('unknown and missing fields are named by their paths, all at once', async () => {
    const { call, table, secrets } = openTestApi();
    const body = { nmae: 'x', sides: { a: { ...a, hots: 'x' }, b: { ...a, port: 70000 } } };
    const answer = await call('POST', 'pairs', { body });
    expect(answer.status).toBe(422);
    expect(answer.body.errors.map((e: { field: string }) => e.field).sort()).toEqual([
      'nmae',
      'sides.a.hots',
      'sides.b.port',
    ]);
    expect(answer.body.errors.find((e: { field: string }) => e.field === 'nmae').message).toBe(
      'unknown field',
    );
    const missing = await call('POST', 'pairs', { body: { sides: { a } } });
    expect(missing.body).toMatchObject({ field: 'sides.b', detail: expect.stringMatching(/is missing/) });
    expect(table.keys()).toEqual([]);
    expect(secrets.references()).toEqual([]);
  });

  test('a third database in a pair', async () => {
    const { call } = openTestApi();
    const answer = await call('POST', 'pairs', { body: { sides: { a, b: a, c: a } } });
    expect(answer).toMatchObject({
      status: 409,
      body: { type: 'https://pgtwin.dev/problems/pair-is-full', field: 'sides.c' },
    });
  });

  test('both ends the same database, by address', async () => {
    const { call, table } = openTestApi();
    const url = 'postgres://sync:hunter2-hunter2@A.example.com/shop?sslmode=disable';
    const answer = await call('POST', 'pairs', { body: { sides: { a, b: { url } } } });
    expect(answer).toMatchObject({
      status: 422,
      body: { type: 'https://pgtwin.dev/problems/same-database', field: 'sides.b' },
    });
    expect(answer.text).not.toContain('hunter2');
    expect(table.keys()).toEqual([]);
  });

  test.each([
    ['not a URL', { url: 'hello' }, 'sides.a.url'],
    ['another scheme', { url: 'mysql://u:secret-word@h/d' }, 'sides.a.url'],
    ['a parameter that is not known', { url: 'postgres://u:secret-word@h/d?foo=1' }, 'sides.a.url'],
    ['sslmode prefer', { url: 'postgres://u:secret-word@h/d?sslmode=prefer' }, 'sides.a.url'],
    ['a % alone', { url: 'postgres://u:secret-word%@h/d' }, 'sides.a.url'],
    ['no user', { url: 'postgres://h/d' }, 'sides.a.user'],
    ['no database', { url: 'postgres://u:secret-word@h' }, 'sides.a.database'],
    ['no password', { url: 'postgres://u@h/d' }, 'sides.a.password'],
    ['password and secret', { ...a, secret: 'local:x' }, 'sides.a.secret'],
    ['a part that contradicts the URL', { url: 'postgres://u:secret-word@h/d', host: 'i' }, 'sides.a.host'],
    ['a name that is too long', { ...a, database: 'd'.repeat(64) }, 'sides.a.database'],
  ])('an endpoint that is wrong: %s', async (_name, endpoint, field) => {
    const { call } = openTestApi();
    const answer = await call('POST', 'pairs', { body: { sides: { a: endpoint, b: a } } });
    expect(answer.body).toMatchObject({ status: 422, field });
    expect(answer.text).not.toMatch(/secret-word|hunter2/);
  });

  test('what is not there, and identifiers that can not be', async () => {
    const { call } = openTestApi();
    expect(await call('GET', 'pairs/nothere1')).toMatchObject({
      status: 404,
      body: { type: 'https://pgtwin.dev/problems/not-found' },
    });
    expect((await call('GET', 'nothing')).body.type).toMatch(/not-found$/);
    expect((await call('GET', 'pairs/NOT_AN_ID')).body).toMatchObject({ status: 422, field: 'param.id' });
    expect((await call('GET', 'pairs/nothere1/tasks/sideways')).body.field).toBe('param.direction');
    expect((await call('GET', 'pairs?limit=0')).body.field).toBe('query.limit');
    expect((await call('GET', 'pairs?pgae=2')).body.field).toBe('query.pgae');
  });

  test('an unexpected error says nothing of itself', async () => {
    const api = openTestApi();
    const broken = createApp({
      ...api.deps,
      repository: Object.assign(Object.create(api.repository), {
        listPairs: () => Promise.reject(new Error('stack with a secret-word')),
      }),
    });
    const answer = await broken.request('/v1/pairs', {
      headers: { authorization: 'Bearer admin-token-0123456789' },
    });
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toMatch(/secret-word|at .*\.ts/);
    expect(api.logged.join()).toContain('request failed');
  });
});

describe('description', () => {
  test('OpenAPI 3.1 names every route, with ids of its own', async () => {
    const { call } = openTestApi();
    const { body } = await call('GET', '/openapi.json', { as: 'nobody' });
    expect(body.openapi).toBe('3.1.0');
    const operations = Object.values(body.paths).flatMap((methods) => Object.values(methods as object));
    const ids = operations.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(
      expect.arrayContaining(['createPair', 'configureTask', 'runPrecheck', 'pauseTask', 'listConflicts']),
    );
    expect(body.components.schemas).toHaveProperty('Problem');
    expect(body.components.securitySchemes.bearer).toEqual({ type: 'http', scheme: 'bearer' });
  });
});
