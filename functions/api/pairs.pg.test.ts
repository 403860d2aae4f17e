import { expect, test } from 'vitest';
import { openTestApi } from '../../test/support/api.ts';
import { openDatabase, type TestDatabase } from '../../test/support/database.ts';

const partsOf = (database: TestDatabase) => ({
  host: database.server.host,
  port: database.server.port,
  database: database.name,
  user: database.user,
  password: database.password,
  tls: 'disable',
});
const urlOf = (database: TestDatabase) => ({ url: `${database.url}?sslmode=disable` });

test('a pair is created, its passwords go to the secret store, and nothing is left when it goes', async () => {
  await using a = await openDatabase('a');
  await using b = await openDatabase('b');
  const api = openTestApi();
  const made = await api.call('POST', 'pairs', {
    body: { name: 'shop', sides: { a: partsOf(a), b: urlOf(b) } },
  });
  expect(made.status).toBe(201);
  const { id } = made.body;
  expect(made.headers.get('location')).toBe(`/v1/pairs/${id}`);
  expect(made.body).toMatchObject({
    shards: 1,
    sides: {
      a: { secret: `local:${id}-a`, tls: 'disable' },
      b: { secret: `local:${id}-b`, database: b.name },
    },
    tasks: { forward: { state: 'NotConfigured' }, reverse: { state: 'NotConfigured' } },
  });
  expect(made.text).not.toContain('password');
  expect(await api.secrets.get(`local:${id}-b`)).toBe(b.password);
  expect(api.logged.join()).not.toContain(`"${b.password}"`);

  const tested = await api.call('POST', `pairs/${id}/tasks/reverse/test-connectivity`);
  expect(tested.body).toMatchObject({ source: { ok: true, encrypted: false }, destination: { ok: true } });
  expect((await api.call('DELETE', `pairs/${id}`)).status).toBe(204);
  expect(api.table.keys()).toEqual([]);
  expect(api.secrets.references()).toEqual([]);
});

test('bad endpoints: each names its field, and leaves nothing behind', async () => {
  await using a = await openDatabase('a');
  await using b = await openDatabase('b');
  const api = openTestApi({ connectTimeoutMs: 2000 });
  const attempt = async (change: object, name = 'a') => {
    const sides =
      name === 'a' ? { a: { ...partsOf(a), ...change }, b: partsOf(b) } : { a: partsOf(a), b: change };
    const { status, body, text } = await api.call('POST', 'pairs', { body: { sides } });
    expect(text).not.toContain('at Object.');
    expect(api.table.keys()).toEqual([]);
    expect(api.secrets.references()).toEqual([]);
    return {
      status,
      field: body.field,
      code: String(body.type).split('/').at(-1),
      advice: body.advice !== '',
    };
  };
  const answer = (code: string, field: string) => ({ status: 422, code, field, advice: true });
  expect(await attempt({ password: 'not the password' })).toEqual(answer('login-failed', 'sides.a.password'));
  expect(await attempt({ user: 'nobody_here' })).toEqual(answer('login-failed', 'sides.a.password'));
  expect(await attempt({ database: 'not_there' })).toEqual(answer('login-failed', 'sides.a.database'));
  expect(await attempt({ port: 1 })).toEqual(answer('database-unreachable', 'sides.a.host'));
  expect(await attempt({ host: 'no-such-host.invalid' })).toEqual(
    answer('database-unreachable', 'sides.a.host'),
  );
  expect(await attempt({ tls: 'require' })).toEqual(answer('tls-failed', 'sides.a.tls'));
  expect(await attempt({ password: undefined, secret: 'local:none' })).toEqual(
    answer('secret-unavailable', 'sides.a.secret'),
  );
  // The same database, first by address, then under another name of the host.
  expect(await attempt(partsOf(a), 'b')).toEqual(answer('same-database', 'sides.b'));
  const other = a.server.host === 'localhost' ? '127.0.0.1' : 'localhost';
  expect(await attempt({ ...partsOf(a), host: other }, 'b')).toEqual(answer('same-database', 'sides.b'));
});

test('two databases of one server are two databases', async () => {
  await using one = await openDatabase('a');
  await using other = await openDatabase('a');
  const api = openTestApi();
  const sides = { a: partsOf(one), b: partsOf(other) };
  const made = await api.call('POST', 'pairs', { body: { shards: 4, sides } });
  expect(made).toMatchObject({ status: 201, body: { shards: 4 } });
  expect((await api.call('GET', `pairs/${made.body.id}`)).body.shards).toBe(4);
});

test('a secret of the user is used, and stays when the pair goes', async () => {
  await using a = await openDatabase('a');
  await using b = await openDatabase('b');
  const api = openTestApi();
  await api.secrets.put('mine', JSON.stringify({ username: 'x', password: a.password }));
  const { password: _password, ...withoutPassword } = partsOf(a);
  const body = { sides: { a: { ...withoutPassword, secret: 'local:mine' }, b: partsOf(b) } };
  const { body: pair } = await api.call('POST', 'pairs', { body });
  await api.call('DELETE', `pairs/${pair.id}`);
  expect(api.secrets.references()).toEqual(['local:mine']);
});

test('an idempotency key creates one pair, also at once; another body is refused', async () => {
  await using a = await openDatabase('a');
  await using b = await openDatabase('b');
  const api = openTestApi();
  const body = { sides: { a: partsOf(a), b: partsOf(b) } };
  const headers = { 'idempotency-key': 'order-1' };
  const both = await Promise.all([1, 2].map(() => api.call('POST', 'pairs', { body, headers })));
  expect(both.map(({ status }) => status).sort()).toEqual([201, 409]);
  const again = await api.call('POST', 'pairs', { body, headers });
  expect(again.status).toBe(201);
  expect(again.headers.get('idempotent-replayed')).toBe('true');
  expect(again.body.id).toBe(both.find(({ status }) => status === 201)?.body.id);
  const other = await api.call('POST', 'pairs', { body: { ...body, name: 'other' }, headers });
  expect(other.body.type).toMatch(/idempotency-key-reused$/);
  expect((await api.call('GET', 'pairs')).body.pairs).toHaveLength(1);

  // A failed request does not use the key up.
  const wrong = { sides: { a: { ...partsOf(a), password: 'wrong' }, b: partsOf(b) } };
  const second = { 'idempotency-key': 'order-2' };
  expect((await api.call('POST', 'pairs', { body: wrong, headers: second })).status).toBe(422);
  expect((await api.call('POST', 'pairs', { body, headers: second })).status).toBe(201);
});

test('the preview names the tables and the exact request', async () => {
  await using a = await openDatabase('a', {
    schema: 'create table item (id int primary key); create table tag (id int)',
  });
  await using b = await openDatabase('b');
  const api = openTestApi();
  const { body: pair } = await api.call('POST', 'pairs', {
    body: { sides: { a: partsOf(a), b: partsOf(b) } },
  });
  const answer = await api.call('POST', `pairs/${pair.id}/preview`, {
    body: {
      forward: { objects: { include: [{ schema: 'public' }], exclude: [{ schema: '*', table: 't*' }] } },
    },
  });
  expect(answer.body).toMatchObject({
    forward: { count: 1, tables: [{ schema: 'public', name: 'item' }] },
    request: { method: 'POST', body: { forward: { conflictPolicy: 'overwrite' } } },
  });
  const named = (mapping: object) =>
    api.call('POST', `pairs/${pair.id}/preview-objects`, {
      body: { forward: { objects: { include: [{ schema: 'public' }], mapping } } },
    });
  expect((await named({ names: [{ schema: 'public', to: 'p' }] })).body.forward).toMatchObject({
    count: 2,
    tables: [{ destination: { schema: 'p', name: 'item' } }, { destination: { schema: 'p', name: 'tag' } }],
    inverse: [
      { schema: 'p', table: 'item', to: 'item', toSchema: 'public' },
      { schema: 'p', table: 'tag', to: 'tag', toSchema: 'public' },
    ],
  });
  const taken = await named({ rules: [{ level: 'table', match: '.*', replace: 'x' }] });
  expect(taken).toMatchObject({
    status: 422,
    body: { detail: expect.stringContaining('public.item and public.tag') },
  });
  const task = await api.call('GET', `pairs/${pair.id}/tasks/forward`);
  expect(task.body.configured).toBe(false);
});

test('the conflict log is read from the destination, in pages, and rows are not for viewers', async () => {
  await using a = await openDatabase('a');
  await using b = await openDatabase('b');
  const api = openTestApi();
  const { body: pair } = await api.call('POST', 'pairs', {
    body: { sides: { a: partsOf(a), b: partsOf(b) } },
  });
  const path = `pairs/${pair.id}/tasks/forward/conflicts`;
  expect((await api.call('GET', path)).body).toEqual({ conflicts: [] });
  const { installHelperSchema } = await import('../../shared/postgres/helper-schema/install.ts');
  await installHelperSchema(b.client as never, `${pair.id}_f`, 'destination');
  await b.query(
    `insert into pgtwin.conflict (task, position, kind, policy, result, schema_name, table_name, key, source_row)
     select $1, lpad(n::text, 16, '0'), 'insert-exists', 'overwrite', 'overwritten', 'public',
       case when n % 2 = 0 then 'item' else 'tag' end, '{"id": 1}', '{"id": 1, "name": "x"}'
     from generate_series(1, 5) n`,
    [`${pair.id}_f`],
  );
  const first = await api.call('GET', `${path}?limit=2`);
  expect(first.body.conflicts.map((c: { id: string }) => c.id)).toEqual(['5', '4']);
  expect(first.body.conflicts[0]).toMatchObject({
    kind: 'insert-exists',
    key: { id: 1 },
    sourceRow: { name: 'x' },
  });
  const rest = await api.call('GET', `${path}?limit=9&cursor=${first.body.next}`);
  expect(rest.body.conflicts).toHaveLength(3);
  expect(rest.body.next).toBeUndefined();
  const items = await api.call('GET', `${path}?table=item`, { as: 'viewer' });
  expect(items.body.conflicts).toHaveLength(2);
  expect(items.text).not.toMatch(/sourceRow|"key"/);
});
