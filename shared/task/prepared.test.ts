import { expect, test } from 'vitest';
import { openMemoryTable } from '../../test/support/memory-table.ts';
import { pagesOf, readPrepared, removePrepared, savePrepared } from './prepared.ts';

test('5,000 tables with the longest names are kept in items that DynamoDB takes', async () => {
  const long = 'ü'.repeat(31);
  const list = Array.from({ length: 5000 }, (_, n) => ({
    schema: long,
    name: `${long.slice(5)}${n}`,
    key: [long, long, long],
  }));
  const table = openMemoryTable();
  const head = { generation: 3, slot: 's', systemId: '7', timeline: 1, consistentPoint: '0/1', at: 'now' };
  await savePrepared(table, 't', head, list);
  expect((await readPrepared(table, 't'))?.list).toEqual(list);
  for (const page of pagesOf(list)) expect(Buffer.byteLength(JSON.stringify(page))).toBeLessThan(400 * 1024);
  await removePrepared(table, 't');
  expect(table.keys()).toEqual([]);
  expect(await readPrepared(table, 't')).toBeUndefined();
});
