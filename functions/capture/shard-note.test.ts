import { expect, test } from 'vitest';
import { shardNote } from './shard-note.ts';

const table = (name: string, shard: number | 'key') => ({ schema: 'public', name, key: ['id'], shard });

test('a task with several shards says how its tables are spread', () => {
  expect(shardNote(1, [table('a', 'key')])).toBeUndefined();
  expect(shardNote(4, [table('a', 'key'), table('b', 3), table('c', 0)])).toMatch(
    /not whole .* 4 shards.* By key: 1 of 3 tables; by table: 2 \(public.b, public.c\)\./,
  );
  const many = Array.from({ length: 12 }, (_, n) => table(`t${n}`, n));
  expect(shardNote(2, many)).toMatch(/By key: 0 of 12 tables; by table: 12 \(.*public.t9 and 2 more\)/);
  expect(shardNote(2, [table('a', 'key')])).toMatch(/by table: 0\. /);
});
