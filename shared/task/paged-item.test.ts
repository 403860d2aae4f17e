import { expect, test } from 'vitest';
import { openMemoryTable } from '../../test/support/memory-table.ts';
import { readPaged, writePaged } from './paged-item.ts';

test.each([1, 3_000, 200_000])(
  'a body of %i names is what it was, in items that DynamoDB takes',
  async (count) => {
    const table = openMemoryTable();
    const body = { names: Array.from({ length: count }, (_, n) => `größe_${n}`) };
    await writePaged(table, 'task', 'config#1', body);
    expect(await readPaged(table, 'task', 'config#1')).toEqual(body);
    expect(table.largestBytes).toBeLessThan(400_000);
    expect(await readPaged(table, 'task', 'config#2')).toBeUndefined();
  },
);

test('a page that is gone is an error, and never half a body', async () => {
  const table = openMemoryTable();
  await writePaged(table, 'task', 'config#1', 'x'.repeat(600_000));
  await table.remove('task', 'config#1#0001');
  await expect(readPaged(table, 'task', 'config#1')).rejects.toThrow(/page/);
});
