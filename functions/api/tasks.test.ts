import { describe, expect, test } from 'vitest';
import type { TaskInput } from '../../shared/task/machine.ts';
import { openTestApi, storePair, type TestApi } from '../../test/support/api.ts';

const objects = { include: [{ schema: 'public', table: '*' }] };

/** Moves a task as its capture and precheck would. */
async function move({ repository }: TestApi, task: string, ...inputs: TaskInput[]): Promise<void> {
  for (const input of inputs) await repository.move(task, input, { cause: 'test', actor: 'test' });
}

const running: TaskInput[] = ['precheck', 'precheck-passed', 'start', 'initialized'];

describe('configuration', () => {
  test('defaults are filled in, and the task says what may be done', async () => {
    const api = openTestApi();
    const id = await storePair(api);
    const answer = await api.call('PUT', `pairs/${id}/tasks/forward`, { body: { objects } });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      ...{ state: 'NotConfigured', configured: true, version: 2 },
      config: { conflictPolicy: 'overwrite', objects: { exclude: [] } },
      allowedActions: ['configure', 'precheck', 'release'],
      events: [{ input: 'configure', actor: 'the-admin' }],
    });
    expect(answer.headers.get('etag')).toBe('"2"');
  });

  test('a wrong value is named; retries must be ordered', async () => {
    const api = openTestApi();
    const id = await storePair(api);
    const put = (body: unknown) => api.call('PUT', `pairs/${id}/tasks/forward`, { body });
    expect((await put({})).body.field).toBe('objects');
    expect((await put({ objects: { include: [] } })).body.field).toBe('objects.include');
    expect((await put({ objects, conflictPolicy: 'hope' })).body.field).toBe('conflictPolicy');
    expect((await put({ objects, retryConnectionMinutes: 10, retryOtherMinutes: 10 })).body.field).toBe(
      'retryOtherMinutes',
    );
    expect((await put({ objects, autoStart: true })).body.field).toBe('autoStart');
  });

  test('the reverse task is configured when the forward one runs, and its endpoints are fixed', async () => {
    const api = openTestApi();
    const id = await storePair(api);
    const put = (body: object) =>
      api.call('PUT', `pairs/${id}/tasks/reverse`, { body: { objects, ...body } });
    const early = await put({});
    expect(early).toMatchObject({
      status: 409,
      body: { type: expect.stringMatching(/action-not-allowed$/) },
    });
    expect(early.body.detail).toMatch(/autoStart/);
    await api.call('PUT', `pairs/${id}/tasks/forward`, { body: { objects } });
    await move(api, `${id}_f`, ...running);
    expect(await put({ sides: { a: { host: 'c.example.com' } } })).toMatchObject({
      status: 422,
      body: { type: expect.stringMatching(/endpoint-fixed$/), field: 'sides.a.host' },
    });
    expect((await put({ sides: { a: { host: 'a.example.com', port: 5432 } } })).status).toBe(200);
  });

  test('both at once, the reverse starting by itself', async () => {
    const api = openTestApi();
    const id = await storePair(api);
    const both = (reverse: object) =>
      api.call('POST', `pairs/${id}/configure`, { body: { forward: { objects }, reverse } });
    expect((await both({ objects })).body.field).toBe('reverse.autoStart');
    const answer = await both({ objects: { include: [{ schema: 'shop' }] }, autoStart: true });
    expect(answer.status).toBe(200);
    expect(answer.body.reverse).toMatchObject({ autoStart: true, configured: true });
    // The reverse's objects are its own.
    expect(answer.body.reverse.config.objects.include).toEqual([{ schema: 'shop', table: '*' }]);
    expect(answer.body.forward.config.objects.include).toEqual([{ schema: 'public', table: '*' }]);
  });

  test('an action that the state does not allow names those that it does', async () => {
    const api = openTestApi();
    const id = await storePair(api);
    const early = await api.call('POST', `pairs/${id}/tasks/forward/start`);
    expect(early.status).toBe(409);
    expect(early.body.detail).toMatch(/NotConfigured; allowed are: configure/);
    const precheck = await api.call('POST', `pairs/${id}/tasks/forward/precheck`);
    expect(precheck.body.detail).toMatch(/no configuration yet/);
  });

  test('the actions move the task, each with its actor', async () => {
    const api = openTestApi();
    const id = await storePair(api);
    await api.call('PUT', `pairs/${id}/tasks/forward`, { body: { objects } });
    await move(api, `${id}_f`, 'precheck', 'precheck-passed');
    const act = async (action: string) => {
      const { status, body } = await api.call('POST', `pairs/${id}/tasks/forward/${action}`, {
        as: 'operator',
      });
      expect(status).toBe(202);
      return body.state;
    };
    expect(await act('start')).toBe('Initializing');
    await move(api, `${id}_f`, 'initialized');
    expect(await act('pause')).toBe('Pausing');
    await move(api, `${id}_f`, 'paused');
    expect(await act('resume')).toBe('Running');
    await move(api, `${id}_f`, 'give-up');
    expect(await act('retry')).toBe('Running');
    const task = await api.call('GET', `pairs/${id}/tasks/forward`);
    expect(task.body.generation).toBe(1);
    expect(task.body.events).toHaveLength(10);
    expect(task.body.events[0]).toMatchObject({ input: 'retry', actor: 'the-operator' });
  });
});

describe('concurrency', () => {
  test('If-Match: a stale tag is refused, the current one is taken', async () => {
    const api = openTestApi();
    const id = await storePair(api);
    const put = (ifMatch: string) =>
      api.call('PUT', `pairs/${id}/tasks/forward`, { body: { objects }, headers: { 'if-match': ifMatch } });
    expect(await put('"7"')).toMatchObject({
      status: 412,
      body: { type: expect.stringMatching(/conflict-of-versions$/) },
    });
    expect((await put('"1"')).headers.get('etag')).toBe('"2"');
    expect((await put('*')).headers.get('etag')).toBe('"3"');
    const pair = await api.call('GET', `pairs/${id}`);
    expect(pair.headers.get('etag')).toBe('"f3.r1"');
    const remove = (tag: string) => api.call('DELETE', `pairs/${id}`, { headers: { 'if-match': tag } });
    expect((await remove('"f2.r1"')).status).toBe(412);
    expect((await remove('"f3.r1"')).status).toBe(204);
  });

  test('of two changes for one version exactly one is made', async () => {
    const api = openTestApi();
    const id = await storePair(api);
    const answers = await Promise.all(
      [1, 2, 3].map(() =>
        api.call('PUT', `pairs/${id}/tasks/forward`, { body: { objects }, headers: { 'if-match': '"1"' } }),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412, 412]);
    expect((await api.repository.getTask(`${id}_f`)).version).toBe(2);
  });
});

describe('removal', () => {
  test('tasks that never started are removed at once, with nothing left; again is no error', async () => {
    const api = openTestApi();
    const id = await storePair(api);
    await api.call('PUT', `pairs/${id}/tasks/forward`, { body: { objects } });
    expect((await api.call('DELETE', `pairs/${id}`)).status).toBe(204);
    expect(api.table.keys()).toEqual([]);
    expect((await api.call('DELETE', `pairs/${id}`)).status).toBe(204);
  });

  test('a task that started is released by its capture first, then the pair goes', async () => {
    const api = openTestApi();
    const id = await storePair(api);
    await api.call('PUT', `pairs/${id}/tasks/forward`, { body: { objects } });
    await move(api, `${id}_f`, ...running);
    const deleting = await api.call('DELETE', `pairs/${id}`);
    expect(deleting).toMatchObject({
      status: 202,
      body: { deleting: true, tasks: { forward: { state: 'Releasing' }, reverse: { state: 'Released' } } },
    });
    expect((await api.call('DELETE', `pairs/${id}`)).status).toBe(202);
    await move(api, `${id}_f`, 'released');
    expect((await api.call('GET', `pairs/${id}`)).status).toBe(404);
    expect(api.table.keys()).toEqual([]);
  });

  test('leftovers are shown until the pair is deleted again', async () => {
    const api = openTestApi();
    const id = await storePair(api);
    await api.call('PUT', `pairs/${id}/tasks/forward`, { body: { objects } });
    await move(api, `${id}_f`, ...running);
    await api.call('DELETE', `pairs/${id}`);
    await api.repository.move(`${id}_f`, 'released', {
      ...{ cause: 'leftovers', actor: 'capture' },
      error: { code: 'database-unreachable', detail: 'left: slot', advice: 'drop it', at: '2026-01-01' },
    });
    const shown = await api.call('GET', `pairs/${id}`);
    expect(shown.body.tasks.forward).toMatchObject({ state: 'Released', error: { detail: 'left: slot' } });
    expect((await api.call('DELETE', `pairs/${id}`)).status).toBe(204);
    expect(api.table.keys()).toEqual([]);
  });

  test('release of one task is safe to repeat', async () => {
    const api = openTestApi();
    const id = await storePair(api);
    for (let n = 0; n < 2; n++) {
      const answer = await api.call('POST', `pairs/${id}/tasks/forward/release`);
      expect(answer).toMatchObject({ status: 202, body: { state: 'Released' } });
    }
  });
});

describe('lists', () => {
  test('pairs in pages', async () => {
    const api = openTestApi();
    for (let n = 0; n < 5; n++) await storePair(api, `pair000${n}`);
    const first = await api.call('GET', 'pairs?limit=2');
    expect(first.body.pairs.map((p: { id: string }) => p.id)).toEqual(['pair0000', 'pair0001']);
    const second = await api.call('GET', `pairs?limit=3&cursor=${first.body.next}`);
    expect(second.body.pairs).toHaveLength(3);
    expect(second.body.next).toBeUndefined();
  });

  test.each([1, 7, 50, 100])('events in pages of %i: all of them once, the newest first', async (limit) => {
    const api = openTestApi();
    const id = await storePair(api);
    const start = Date.parse('2026-01-01T00:00:00Z');
    for (let n = 0; n < 75; n++) {
      api.clock.at = new Date(start + n * 1000);
      await api.call('PUT', `pairs/${id}/tasks/forward`, { body: { objects } });
    }
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const query = `limit=${limit}${cursor ? `&cursor=${cursor}` : ''}`;
      const page = await api.call('GET', `pairs/${id}/tasks/forward/events?${query}`);
      expect(page.body.events.length).toBeLessThanOrEqual(limit);
      seen.push(...page.body.events.map((event: { at: string }) => event.at));
      cursor = page.body.next;
    } while (cursor);
    const all = Array.from({ length: 75 }, (_, n) => new Date(start + n * 1000).toISOString());
    expect(seen).toEqual(all.toReversed());
  });

  test('a cursor that is not ours is refused', async () => {
    const api = openTestApi();
    const id = await storePair(api);
    const answer = await api.call('GET', `pairs/${id}/tasks/forward/events?cursor=abc`);
    expect(answer.body).toMatchObject({ status: 422, field: 'query.cursor' });
  });
});
