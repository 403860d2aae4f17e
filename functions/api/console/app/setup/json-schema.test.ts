import { expect, test } from 'vitest';
import { openTestApi } from '../../../../../test/support/api.ts';
import { emptyOf, isNullable, type JsonSchema, schemaNamed, shapeOf, variantsOf } from './json-schema.ts';

test('fields of the configuration have inputs by their schema', async () => {
  const { body } = await openTestApi().call('GET', '/openapi.json', { as: 'nobody' });
  const schema = schemaNamed(body, 'Configure');
  const shapes = (of: JsonSchema, path: string): string[] =>
    Object.entries(of.properties ?? {}).flatMap(([name, field]) => [
      `${path}${name}: ${shapeOf(field)}`,
      ...shapes(field, `${path}${name}.`),
      ...shapes(field.items ?? {}, `${path}${name}[].`),
    ]);
  const all = shapes(schema, '');
  expect(all).toEqual(
    expect.arrayContaining([
      'conflictPolicy: choice',
      'types.full: boolean',
      'retryOtherMinutes: number',
      'limits.full.rowsPerSecond: number',
      'tablePolicies: list',
      'tablePolicies[].resolver.source: long-text',
      'deltaColumns[].columns: words',
      'objects.include: list',
    ]),
  );
  const perSecond = schema.properties?.['limits']?.properties?.['full']?.properties?.['rowsPerSecond'];
  expect(perSecond && isNullable(perSecond)).toBe(true);
});

test('objects of several kinds are told apart by their own word', () => {
  const step: JsonSchema = {
    oneOf: [
      {
        type: 'object',
        properties: { step: { type: 'string', const: 'drop' }, column: { type: 'string' } },
        required: ['step', 'column'],
      },
      {
        type: 'object',
        properties: { step: { type: 'string', enum: ['filter'] }, keep: { type: 'string' } },
        required: ['step', 'keep'],
      },
    ],
  };
  expect([...(variantsOf(step)?.byValue.keys() ?? [])]).toEqual(['drop', 'filter']);
  expect(shapeOf({ type: 'array', items: step })).toBe('list');
  expect(emptyOf(step)).toEqual({ step: 'drop', column: '' });
  expect(variantsOf({ oneOf: [{ type: 'string' }, { type: 'object', properties: {} }] })).toBeUndefined();
});
