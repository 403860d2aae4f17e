import { expect, test } from 'vitest';
import { openMemoryTable } from '../../test/support/memory-table.ts';
import { addToHistory, readHistory } from './history.ts';

const begin = Date.parse('2026-03-01T10:30:00Z');
const at = (minutes: number) => new Date(begin + minutes * 60_000 + 12_345);
const figures = { latencySeconds: 0.123456, rowsPerSecond: 12_345.678_9, bytesPerSecond: 123_456_789.4 };

test('a day is kept by the minute, in items that DynamoDB takes, and no more', async () => {
  const table = openMemoryTable();
  for (let n = 0; n < 30 * 60; n++)
    await addToHistory(table, 't', at(n), { ...figures, latencySeconds: n % 7 === 3 ? null : n / 7 });
  const now = at(30 * 60 - 1);
  const points = await readHistory(table, 't', now);
  expect(points).toHaveLength(24 * 60);
  expect(points.at(-1)).toEqual({
    ...{ at: '2026-03-02T16:29:00.000Z', latencySeconds: 257, rowsPerSecond: 12_345.679 },
    bytesPerSecond: 123_456_789,
  });
  expect(points.every((each, n) => n === 0 || each.at > points[n - 1]!.at)).toBe(true);
  expect(await readHistory(table, 't', now, 1)).toHaveLength(60);
  expect(table.keys().length).toBeLessThanOrEqual(26);
  expect(table.largestBytes).toBeLessThan(6_000);
});

test('a minute that is told twice is one, and a gap stays a gap', async () => {
  const table = openMemoryTable();
  await addToHistory(table, 't', at(0), figures);
  await addToHistory(table, 't', at(0), { ...figures, latencySeconds: null });
  await addToHistory(table, 't', at(90), figures);
  const points = await readHistory(table, 't', at(91));
  expect(points.map(({ at: when, latencySeconds }) => [when.slice(11, 16), latencySeconds])).toEqual([
    ['10:30', null],
    ['12:00', 0.123],
  ]);
  expect(await readHistory(table, 'other', at(91))).toEqual([]);
});
