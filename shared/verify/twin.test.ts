import { expect, test } from 'vitest';
import { taskConfig } from '../task/schema.ts';
import { chosenTwins, twinNames } from './twin.ts';

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
