import { expect, test } from 'vitest';
import { taskConfig } from '../task/schema.ts';
import { chosenTwins, skippedTwins, twinNames } from './twin.ts';

const config = taskConfig.parse({ objects: { include: [{ schema: '*' }] } });
const table = (name: string, key = ['id']) => ({ schema: 's', name, key });

test('tables of both tasks are kept alike; the others go one way', () => {
  const twins = twinNames(
    { config, list: [table('z'), table('both'), table('other_key')] },
    { config, list: [table('both'), table('other_key', ['code']), table('back')] },
  );
  expect(twins.map(({ names, way, mirrored, key }) => [names.a.name, way, mirrored, key.b])).toEqual([
    ['back', 'reverse', false, ['id']],
    ['both', 'both', true, ['id']],
    ['other_key', 'both', false, ['id']],
    ['z', 'forward', false, ['id']],
  ]);
  expect(chosenTwins(twins, [{ schema: 's', table: '*o*' }]).map(({ names }) => names.a.name)).toEqual([
    'both',
    'other_key',
  ]);
  expect(chosenTwins(twins, undefined)).toEqual(twins);
});

test('tables with a filter or steps are skipped, and it is said whose', () => {
  const of = (objects: object) => taskConfig.parse({ objects: { include: [{ schema: '*' }], ...objects } });
  const filters = [{ schema: 's', table: 'a', where: 'true' }];
  const etl = [{ schema: 's', table: 'b', steps: [{ step: 'drop', column: 'x' }] }];
  const list = ['a', 'b', 'c'].map((name) => table(name));
  const skipped = skippedTwins({ config: of({ filters }), list }, { config: of({ filters, etl }), list });
  expect(skipped.map(({ names, reason }) => [names.a.name, reason])).toEqual([
    ['a', expect.stringMatching(/the forward task .* by a filter and the reverse task .* by a filter\.$/)],
  ]);
  const oneWay = skippedTwins(undefined, { config: of({ filters, etl }), list });
  expect(oneWay.map(({ names, way }) => [names.b.name, way])).toEqual([
    ['a', 'reverse'],
    ['b', 'reverse'],
  ]);
});
