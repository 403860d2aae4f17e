import { Ajv2020 } from 'ajv/dist/2020.js';
import fc, { type Arbitrary } from 'fast-check';
import { expect, test } from 'vitest';
import { installHelperSchema } from '../../shared/postgres/helper-schema/install.ts';
import { openTestApi, type TestApi } from '../../test/support/api.ts';
import { openDatabase, type TestDatabase } from '../../test/support/database.ts';
import { broken, fitting, junk, type Schema } from '../../test/support/schema-arbitrary.ts';

/** How long requests are made up. PGTWIN_FUZZ_SECONDS and PGTWIN_FUZZ_SEED for longer and other runs. */
const SECONDS = Number(process.env['PGTWIN_FUZZ_SECONDS'] ?? 5);
const SEED = Number(process.env['PGTWIN_FUZZ_SEED'] ?? 20260301);

type Parameter = { name: string; in: 'path' | 'query' | 'header'; required?: boolean; schema: Schema };
type Operation = {
  operationId: string;
  parameters?: Parameter[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, { content?: Record<string, { schema: Schema }> }>;
};
type Document = {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
};
type Request = {
  operation: Operation;
  method: string;
  path: string;
  query: Record<string, unknown>;
  headers: Record<string, unknown>;
  as: 'viewer' | 'operator' | 'admin';
  body: unknown;
  raw: string | undefined;
};

/** Requests of every operation: most of them right but for one thing, and every thing is wrong now and then. */
function requests(document: Document, known: { pairs: string[]; sides: unknown }): Arbitrary<Request> {
  const resolve = (ref: string): Schema => document.components.schemas[ref.split('/').at(-1)!]!;
  const rarely = <T>(usual: Arbitrary<T>, other: Arbitrary<T>): Arbitrary<T> =>
    fc.oneof({ weight: 8, arbitrary: usual }, { weight: 1, arbitrary: other });
  const partOf = (parameter: Parameter): Arbitrary<unknown> => {
    if (parameter.name === 'id') return rarely(fc.constantFrom<unknown>(...known.pairs), junk);
    if (parameter.name === 'if-match') return fc.constantFrom('*', '"1"', '"2"', 'W/"3"', '"f1.r1"', 'x');
    return rarely(fitting(parameter.schema, resolve), junk);
  };
  const bodyOf = (operation: Operation): Arbitrary<unknown> => {
    const schema = operation.requestBody?.content['application/json']?.schema;
    if (!schema) return fc.constant(undefined);
    // Endpoints that nobody made up: those would be looked for in the network.
    const usual = fitting(schema, resolve).map((value) =>
      operation.operationId === 'createPair' ? { ...(value as object), sides: known.sides } : value,
    );
    // What the description itself gives as an example is right, so that tasks are configured, checked and started.
    const { example } = (schema.$ref ? resolve(schema.$ref) : schema) as { example?: unknown };
    const shown =
      example === undefined || operation.operationId === 'createPair' ? usual : fc.constant(example);
    return fc.oneof(
      shown,
      usual,
      shown.chain(broken).map((value) => withoutHosts(value)),
      usual.chain(broken).map((value) => withoutHosts(value)),
    );
  };
  const all = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const named = (place: Parameter['in']): Arbitrary<Record<string, unknown>> => {
        const parameters = (operation.parameters ?? []).filter((parameter) => parameter.in === place);
        const model = Object.fromEntries(parameters.map((each) => [each.name, partOf(each)]));
        return fc.record(model, place === 'path' ? {} : { requiredKeys: [] });
      };
      return fc
        .record({
          parameters: named('path'),
          query: rarely(named('query'), fc.constant({ stranger: '1' })),
          headers: named('header'),
          as: fc.constantFrom('viewer', 'operator', 'admin', 'admin', 'admin'),
          body: bodyOf(operation),
          raw: rarely<string | undefined>(
            fc.constant(undefined),
            fc.constantFrom('', '{', '[]', 'null', '"x"'),
          ),
        })
        .map(
          ({ parameters, ...rest }): Request => ({
            ...{ operation, method: method.toUpperCase(), ...rest },
            path: path.replace(/\{(\w+)\}/g, (_all, name: string) =>
              encodeURIComponent(text(parameters[name])),
            ),
          }),
        );
    }),
  );
  return fc.oneof(...all);
}

const text = (value: unknown): string => {
  const plain = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return plain.isWellFormed() ? plain : plain.toWellFormed();
};

/** A host that was made up would be looked for, which takes seconds and leaves the machine. */
const withoutHosts = (value: unknown): unknown =>
  value === undefined
    ? undefined
    : JSON.parse(JSON.stringify(value), (key, part) =>
        key === 'host' && typeof part === 'string' && part.trim() !== '' ? '127.0.0.1' : part,
      );

async function send(api: TestApi, request: Request): Promise<Awaited<ReturnType<TestApi['call']>>> {
  const query = new URLSearchParams(
    Object.entries(request.query)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]): [string, string] => [name, text(value)]),
  );
  const headers = Object.entries(request.headers)
    .map(([name, value]) => [name, text(value).replace(/[^\x20-\x7e]/g, '?')] as const)
    .filter(([, value]) => value !== '');
  return api.call(request.method, `${request.path}${query.size > 0 ? `?${query}` : ''}`, {
    as: request.as,
    headers: Object.fromEntries(headers),
    ...(request.raw !== undefined && request.method !== 'GET' ? { raw: request.raw } : {}),
    ...(request.body !== undefined && request.method !== 'GET' ? { body: request.body } : {}),
  });
}

const partsOf = (database: TestDatabase) => ({
  ...{ host: database.server.host, port: database.server.port, database: database.name },
  ...{ user: database.user, password: database.password, tls: 'disable' },
});

test('whatever is asked: no answer of 5xx, and none that its description does not have', async () => {
  await using a = await openDatabase('a', { schema: 'create table item (id int primary key, name text)' });
  await using b = await openDatabase('b');
  const api = openTestApi({ connectTimeoutMs: 1000 });
  const sides = { a: partsOf(a), b: partsOf(b) };
  const made = await api.call('POST', 'pairs', { body: { sides } });
  const id: string = made.body.id;
  await installHelperSchema(b.client as never, `${id}_f`, 'destination');
  const document: Document = (await api.call('GET', '/openapi.json')).body;
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  const rebased = (value: object): object =>
    JSON.parse(JSON.stringify(value).replaceAll('"#/components/', '"openapi#/components/'));
  ajv.addSchema({ ...rebased(document), $id: 'openapi' });
  const validators = new Map<Schema, ReturnType<Ajv2020['compile']>>();

  /** The pair is used by all requests: where it was removed it is made again. */
  const makeAgain = async (): Promise<void> => {
    // As the capture would, had the tasks been started.
    const why = { cause: 'test', actor: 'test' };
    for (const task of [`${id}_f`, `${id}_r`]) await api.repository.tryMove(task, 'released', why);
    await api.call('DELETE', `pairs/${id}`);
    if (await api.table.get('pairs', id)) return;
    for (const side of ['a', 'b'] as const) await api.secrets.put(`${id}-${side}`, sides[side].password);
    await api.repository.createPair({
      ...{
        id,
        name: 'fuzz',
        pool: 'default',
        arbiter: 'b',
        shards: 1,
        createdAt: '2026-01-01T00:00:00.000Z',
      },
      sides: made.body.sides,
    });
  };

  const answers = new Map<string, number>();
  const property = fc.asyncProperty(
    requests(document, { pairs: [id, id, id, 'nothere1'], sides }),
    async (request) => {
      const answer = await send(api, request);
      const { operationId, responses } = request.operation;
      const key = `${operationId} ${answer.status}`;
      answers.set(key, (answers.get(key) ?? 0) + 1);
      expect(answer.status, answer.text).toBeLessThan(500);
      const described = responses[answer.status] ?? responses['default'];
      const type = answer.headers.get('content-type')?.split(';')[0] ?? '';
      if (operationId === 'deletePair' && answer.status < 300) await makeAgain();
      if (answer.text === '') return;
      const schema = described?.content?.[type]?.schema;
      expect(schema, `${key} of type ${type} is not described`).toBeDefined();
      const valid = validators.get(schema!) ?? ajv.compile(rebased(schema!));
      validators.set(schema!, valid);
      const content = type.endsWith('json') ? answer.body : answer.text;
      expect(valid(content), `${key}: ${ajv.errorsText(valid.errors)} in ${answer.text}`).toBe(true);
      if (answer.status >= 400) expect(type).toBe('application/problem+json');
    },
  );
  await fc.assert(property, {
    ...{ seed: SEED, numRuns: 1_000_000, maxSkipsPerRun: 1000 },
    ...{ interruptAfterTimeLimit: SECONDS * 1000, markInterruptAsFailure: false },
  });
  const sent = [...answers.values()].reduce((sum, n) => sum + n, 0);
  process.stdout.write(`${sent} requests: ${JSON.stringify(Object.fromEntries([...answers].sort()))}\n`);
  // On a busy machine there are fewer.
  if (sent < 2000) return;
  const asked = new Set([...answers.keys()].map((key) => key.split(' ')[0]));
  const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
  expect([...asked].sort()).toEqual(operations.map(({ operationId }) => operationId).sort());
}, 120_000);
