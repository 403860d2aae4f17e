import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { openTestApi, storePair, tokens } from '../../test/support/api.ts';
import { createApp } from './app.ts';
import { parsePrincipals, parseTokens } from './auth.ts';

const objects = { include: [{ schema: 'public', table: '*' }] };
const forward = { objects };

describe('Idempotency-Key', () => {
  test('the same request again gets the same answer, and nothing is done twice', async () => {
    const api = openTestApi();
    const id = await storePair(api);
    await api.call('PUT', `pairs/${id}/tasks/forward`, { body: forward });
    const headers = { 'idempotency-key': 'release-1' };
    const release = () => api.call('POST', `pairs/${id}/tasks/forward/release`, { headers });
    const [first, second] = [await release(), await release()];
    expect(first.status).toBe(202);
    expect(second).toMatchObject({ status: 202, text: first.text });
    expect(second.headers.get('etag')).toBe(first.headers.get('etag'));
    expect([first, second].map(({ headers: h }) => h.get('idempotent-replayed'))).toEqual([null, 'true']);
    // Another caller's key of the same name is another key.
    const others = await api.call('POST', `pairs/${id}/configure`, { as: 'operator', body: {}, headers });
    expect(others.status).toBe(403);
  });

  test('another body, path or version with the key is refused', async () => {
    const api = openTestApi();
    const id = await storePair(api);
    const headers = { 'idempotency-key': 'k' };
    const configure = (body: object, more = {}) =>
      api.call('POST', `pairs/${id}/configure`, { body, headers: { ...headers, ...more } });
    expect((await configure({ forward })).status).toBe(200);
    const reused = { status: 422, body: { type: expect.stringMatching(/idempotency-key-reused$/) } };
    expect(await configure({ forward: { ...forward, chunkRows: 5000 } })).toMatchObject(reused);
    expect(await configure({ forward }, { 'if-match': '"f2.r1"' })).toMatchObject(reused);
    expect(await api.call('POST', `pairs/${id}/precheck`, { headers })).toMatchObject(reused);
    expect((await configure({ forward })).headers.get('idempotent-replayed')).toBe('true');
    expect((await api.repository.getTask(`${id}_f`)).configVersion).toBe(1);
  });

  test('a refused request does not use the key up, and a day later the key is free', async () => {
    const api = openTestApi();
    api.clock.at = new Date('2026-03-01T10:00:00Z');
    const id = await storePair(api);
    const configure = (body: object) =>
      api.call('POST', `pairs/${id}/configure`, { body, headers: { 'idempotency-key': 'k' } });
    expect((await configure({ forward: {} })).status).toBe(422);
    expect((await configure({ forward })).status).toBe(200);
    api.clock.at = new Date('2026-03-02T10:00:01Z');
    expect((await configure({ forward: { ...forward, chunkRows: 5000 } })).status).toBe(200);
  });

  test('of several at once one is carried out; one whose process died is taken over', async () => {
    const api = openTestApi();
    api.clock.at = new Date('2026-03-01T10:00:00Z');
    const id = await storePair(api);
    const configure = () =>
      api.call('POST', `pairs/${id}/configure`, {
        body: { forward },
        headers: { 'idempotency-key': 'k' },
      });
    const all = await Promise.all([1, 2, 3].map(configure));
    expect(all.map(({ status }) => status).sort()).toEqual([200, 409, 409]);
    expect((await api.repository.getTask(`${id}_f`)).configVersion).toBe(1);

    // As if the process had died before it could store its answer.
    const [item] = (await api.table.query('idempotency')).items;
    const { answer: _answer, ...working } = item!.body as Record<string, unknown>;
    await api.table.put({ ...item!, body: working }, 'any');
    expect((await configure()).body.type).toMatch(/request-in-progress$/);
    api.clock.at = new Date('2026-03-01T10:03:00Z');
    expect((await configure()).status).toBe(200);
  });
});

describe('If-Match', () => {
  test('every change takes it, and a version that is not there any more is 412', async () => {
    const api = openTestApi();
    const id = await storePair(api);
    const task = `pairs/${id}/tasks/forward`;
    const with412 = async (method: string, path: string, body?: unknown, tag = '"99"') => {
      const answer = await api.call(method, path, {
        ...(body === undefined ? {} : { body }),
        headers: { 'if-match': tag },
      });
      expect(answer, `${method} ${path}`).toMatchObject({
        status: 412,
        body: { type: expect.stringMatching(/conflict-of-versions$/), field: 'header.if-match' },
      });
    };
    await with412('PUT', task, forward);
    await api.call('PUT', task, { body: forward });
    await with412('PATCH', `${task}/limits`, { full: { rowsPerSecond: 5 } });
    for (const action of ['start', 'pause', 'resume', 'retry', 'restart', 'release', 'precheck'])
      await with412('POST', `${task}/${action}`);
    await with412('POST', `${task}/precheck/ignore`, { item: 'tls' });
    await with412('POST', `pairs/${id}/configure`, { forward }, '"f1.r1"');
    await with412('POST', `pairs/${id}/precheck`, undefined, '"f1.r1"');
    await with412('DELETE', `pairs/${id}`, undefined, '"f1.r1"');
    const configured = await api.call('POST', `pairs/${id}/configure`, {
      body: { forward },
      headers: { 'if-match': '"f2.r1"' },
    });
    expect(configured.status).toBe(200);
  });
});

describe('limits', () => {
  test('are those of the configuration, and changed one by one by an operator, in any state', async () => {
    const api = openTestApi();
    const id = await storePair(api);
    const path = `pairs/${id}/tasks/forward`;
    const patch = (body: object) => api.call('PATCH', `${path}/limits`, { as: 'operator', body });
    expect((await patch({ full: { rowsPerSecond: 9 } })).status).toBe(409);
    const limits = { full: { rowsPerSecond: 1000 }, incremental: {} };
    await api.call('PUT', path, { body: { objects, limits } });
    const changed = await patch({ incremental: { bytesPerSecond: 5000 }, full: { queriesPerSecond: 3 } });
    expect(changed.body).toEqual({
      full: { queriesPerSecond: 3, rowsPerSecond: 1000, bytesPerSecond: null },
      incremental: { rowsPerSecond: null, bytesPerSecond: 5000 },
    });
    expect((await patch({ full: { rowsPerSecond: null } })).body.full.rowsPerSecond).toBe(null);
    const read = await api.call('GET', `${path}/limits`, { as: 'viewer' });
    expect(read.headers.get('etag')).toBe('"4"');
    const task = await api.call('GET', path);
    expect(task.body).toMatchObject({ state: 'NotConfigured', limits: { full: { queriesPerSecond: 3 } } });
    expect(task.body.events[0]).toMatchObject({ input: 'limits', actor: 'the-operator' });
    for (const wrong of [{}, { full: {} }, { full: { rowsPerSecond: 0 } }, { half: {} }])
      expect((await patch(wrong)).status).toBe(422);
  });
});

describe('audit', () => {
  test('every request that asks for something is noted, refused ones too, and no mere reading', async () => {
    const api = openTestApi();
    const id = await storePair(api);
    const path = `pairs/${id}/tasks/forward`;
    await api.call('GET', path);
    await api.call('PUT', path, { body: forward });
    await api.call('POST', `${path}/pause`, { as: 'viewer' });
    await api.call('POST', `${path}/pause`, { as: 'operator' });
    await api.call('PATCH', `${path}/limits`, { body: { full: { rowsPerSecond: 7 } } });
    await api.call('POST', 'pairs', { raw: '{"sides":{"a":{"password":"hunter2-hunter2"}}}' });
    await api.call('POST', path, { as: 'nobody' });
    const { body } = await api.call('GET', 'audit');
    expect(body.entries.toReversed()).toMatchObject([
      { actor: 'the-admin', operation: 'configureTask', status: 200, pair: id, direction: 'forward' },
      { actor: 'the-viewer', role: 'viewer', operation: 'pauseTask', status: 403, problem: 'forbidden' },
      { actor: 'the-operator', operation: 'pauseTask', status: 409, problem: 'action-not-allowed' },
      { operation: 'changeLimits', status: 200, note: '{"full":{"rowsPerSecond":7}}' },
      { operation: 'createPair', status: 422, problem: 'invalid-request' },
    ]);
    expect(JSON.stringify(body)).not.toContain('hunter2');
    expect((await api.call('GET', 'audit', { as: 'operator' })).status).toBe(403);
  });

  test('in pages, by pair and by actor', async () => {
    const api = openTestApi();
    const ids = [await storePair(api, 'pair0001'), await storePair(api, 'pair0002')];
    for (let n = 0; n < 6; n++) await api.call('PUT', `pairs/${ids[n % 2]}/tasks/forward`, { body: forward });
    const first = await api.call('GET', 'audit?limit=4');
    expect(first.body.entries).toHaveLength(4);
    const second = await api.call('GET', `audit?limit=4&cursor=${encodeURIComponent(first.body.next)}`);
    expect(second.body).toMatchObject({ entries: [{}, {}] });
    expect((await api.call('GET', 'audit?pair=pair0002')).body.entries).toHaveLength(3);
    expect((await api.call('GET', 'audit?actor=nobody')).body.entries).toEqual([]);
    expect((await api.call('GET', 'audit?cursor=x')).body.field).toBe('query.cursor');
  });
});

describe('preview of an action', () => {
  test('the exact request with its version, unsent; sent as it is, it works', async () => {
    const api = openTestApi();
    const id = await storePair(api);
    const preview = (body: object, as: 'viewer' | 'admin' = 'admin') =>
      api.call('POST', 'preview', { as, body });
    const shown = await preview({ operation: 'configureTask', id, direction: 'forward', body: forward });
    expect(shown.body).toMatchObject({
      ...{ method: 'PUT', path: `/v1/pairs/${id}/tasks/forward`, role: 'admin', allowed: true },
      headers: { 'if-match': '"1"' },
      body: { conflictPolicy: 'overwrite', retryConnectionMinutes: 720 },
    });
    expect(shown.body.curl).toMatch(/^curl -X PUT .*-H 'if-match: "1"' -d '\{/);
    expect((await api.repository.getTask(`${id}_f`)).version).toBe(1);
    const { method, path, headers, body } = shown.body;
    expect((await api.call(method, path, { headers, body })).status).toBe(200);

    const pause = { operation: 'pauseTask', id, direction: 'forward' };
    expect((await preview(pause)).body).toMatchObject({
      allowed: false,
      refusal: expect.stringMatching(/NotConfigured; allowed are: configure/),
    });
    expect((await preview(pause, 'viewer')).body.refusal).toMatch(/role operator; yours is viewer/);
    const both = await preview({ operation: 'configurePair', id, body: { forward } });
    expect(both.body.headers['if-match']).toBe('"f2.r1"');
  });

  test('what is wrong is named as the action itself would; passwords are not shown', async () => {
    const api = openTestApi();
    const field = async (body: object) => (await api.call('POST', 'preview', { body })).body.field;
    expect(await field({ operation: 'getTask' })).toBe('operation');
    expect(await field({ operation: 'pauseTask', id: 'pair0001' })).toBe('direction');
    expect(await field({ operation: 'createPair' })).toBe('body');
    expect(await field({ operation: 'createPair', body: { sides: {} } })).toBe('body.sides.a');
    const side = { url: 'postgres://u:pass-word-1@h/d' };
    for (const shards of [0, 17, 1.5, '4'])
      expect(await field({ operation: 'createPair', body: { shards, sides: { a: side, b: side } } })).toBe(
        'body.shards',
      );
    const shown = await api.call('POST', 'preview', {
      body: { operation: 'createPair', body: { sides: { a: side, b: { password: 'pass-word-2' } } } },
    });
    expect(shown.body.body.sides).toEqual({
      a: { url: 'postgres://u:<password>@h/d' },
      b: { password: '<password>' },
    });
    expect(shown.text).not.toMatch(/pass-word-\d/);
  });
});

describe('who', () => {
  test('a token may be given by its hash', async () => {
    const hex = createHash('sha256').update(tokens.viewer).digest('hex');
    const api = openTestApi({ tokens: parseTokens(`ci:viewer:sha256:${hex}`) });
    expect((await api.call('GET', 'pairs', { as: 'viewer' })).status).toBe(200);
    expect(
      (await api.call('GET', 'pairs', { headers: { authorization: `Bearer sha256:${hex}` } })).status,
    ).toBe(401);
  });

  test('an IAM principal has the highest role that its patterns give; nobody else comes in', async () => {
    const api = openTestApi();
    const principals = parsePrincipals(
      'viewer=arn:aws:sts::111111111111:assumed-role/*,operator=arn:aws:sts::111111111111:assumed-role/ops/*',
    );
    const app = createApp({ ...api.deps, principals });
    const call = async (userArn: string, method = 'GET', path = '/v1/pairs') => {
      const event = { requestContext: { authorizer: { iam: { userArn } } } };
      const answer = await app.request(path, { method }, { event });
      return { status: answer.status, text: await answer.text() };
    };
    const role = (name: string) => `arn:aws:sts::111111111111:assumed-role/${name}/someone`;
    expect((await call(role('dev'))).status).toBe(200);
    const pause = '/v1/pairs/pair0001/tasks/forward/pause';
    expect((await call(role('dev'), 'POST', pause)).status).toBe(403);
    expect((await call(role('ops'), 'POST', pause)).status).toBe(404);
    expect((await call('arn:aws:iam::222222222222:user/x')).text).toMatch(/no role here/);
    // The principal comes with the event, never in the request.
    expect((await app.request('/v1/pairs', { headers: { 'x-amzn-iam-arn': role('ops') } })).status).toBe(401);
    expect(() => parsePrincipals('root=arn:aws:iam::1:user/x')).toThrow(/role=arn-pattern/);
    const entries = (await api.call('GET', 'audit')).body.entries;
    expect(entries.map((e: { actor: string }) => e.actor)).toEqual([role('ops'), role('dev')]);
  });

  test('a method that a path does not have is 405 and names those that it has', async () => {
    const { call } = openTestApi();
    const answer = await call('PATCH', 'pairs');
    expect(answer).toMatchObject({
      status: 405,
      body: { type: expect.stringMatching(/method-not-allowed$/) },
    });
    expect(answer.headers.get('allow')).toBe('POST, GET');
  });
});
