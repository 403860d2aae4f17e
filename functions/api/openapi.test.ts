import { Ajv2020 } from 'ajv/dist/2020.js';
import { beforeAll, expect, test } from 'vitest';
import { openTestApi } from '../../test/support/api.ts';

type Media = { schema: object; example?: unknown };
type Operation = {
  operationId: string;
  summary: string;
  parameters?: { name: string; in: string; required?: boolean; schema: object; example?: unknown }[];
  requestBody?: { content: Record<string, Media> };
  responses: Record<string, { description: string; content?: Record<string, Media> }>;
};
type Document = {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, { example?: unknown }> };
};

let document: Document;
let ajv: Ajv2020;
const operations = (): (Operation & { path: string; method: string })[] =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ ...operation, path, method })),
  );
/** A schema of the document, with its references into the document. */
const validatorOf = (schema: object) => ajv.compile({ ...rebased(schema) });
const rebased = (value: object): object =>
  JSON.parse(JSON.stringify(value).replaceAll('"#/components/', '"openapi#/components/'));
const exampleOf = ({ schema, example }: Media): unknown => {
  if (example !== undefined) return example;
  const own = (schema as { example?: unknown }).example;
  const name = (schema as { $ref?: string }).$ref?.split('/').at(-1);
  return own ?? (name === undefined ? undefined : document.components.schemas[name]?.example);
};

beforeAll(async () => {
  document = (await openTestApi().call('GET', '/openapi.json', { as: 'nobody' })).body;
  ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
  ajv.addSchema({ ...rebased(document), $id: 'openapi' });
});

test('every operation has a name of its own, says what it answers, and declares what stands in its path', () => {
  const ids = operations().map(({ operationId }) => operationId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { path, method, summary, responses, parameters = [] } of operations()) {
    const where = `${method} ${path}`;
    expect(summary, where).toBeTruthy();
    expect(Object.keys(responses), where).toEqual(expect.arrayContaining(['default']));
    expect(
      Object.keys(responses).some((status) => /^2\d\d$/.test(status)),
      where,
    ).toBe(true);
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const declared = parameters.filter((p) => p.in === 'path').map(({ name }) => name);
    expect(declared.sort(), where).toEqual(inPath.sort());
  }
});

test('every body and every answer has an example, which its own schema takes', () => {
  let checked = 0;
  const check = (where: string, media: Media): void => {
    const example = exampleOf(media);
    expect(example, `${where} has no example`).toBeDefined();
    const valid = validatorOf(media.schema);
    expect(valid(example), `${where}: ${ajv.errorsText(valid.errors)}`).toBe(true);
    checked += 1;
  };
  for (const { path, method, requestBody, responses } of operations()) {
    const where = `${method} ${path}`;
    for (const media of Object.values(requestBody?.content ?? {})) check(`${where}, body`, media);
    for (const [status, { content = {} }] of Object.entries(responses))
      for (const media of Object.values(content)) check(`${where}, ${status}`, media);
  }
  expect(checked).toBeGreaterThan(50);
});

test('every POST that makes or moves something takes a key, and every change a version', () => {
  const unmoved = ['previewAction', 'previewConfiguration', 'previewObjects', 'testConnectivity'];
  for (const { method, operationId, parameters = [] } of operations()) {
    const headers = parameters.filter((p) => p.in === 'header').map(({ name }) => name);
    if (method === 'post' && !unmoved.includes(operationId))
      expect(headers, operationId).toContain('idempotency-key');
    if (method !== 'get' && operationId !== 'createPair' && !unmoved.includes(operationId))
      expect(headers, operationId).toContain('if-match');
  }
});

test('every list comes in pages', () => {
  for (const { operationId, parameters = [] } of operations())
    if (operationId.startsWith('list'))
      expect(parameters.map(({ name }) => name)).toEqual(expect.arrayContaining(['limit', 'cursor']));
});
