import { expect, test } from 'vitest';
import { copyStatus, type TableProgress } from './progress.ts';

const table = (more: Partial<TableProgress>): TableProgress => ({
  table: 't',
  rowsEstimated: 100,
  rowsDone: 0,
  bytesEstimated: 1000,
  bytesDone: 0,
  finished: false,
  ...more,
});

test('the remaining time follows the pace of this process', () => {
  const status = copyStatus([table({ bytesDone: 500, rowsDone: 50 }), table({ bytesDone: 250 })], {
    elapsedMs: 5000,
    startBytes: 250,
  });
  expect(status).toEqual({
    tables: 2,
    tablesDone: 0,
    rowsEstimated: 200,
    rowsDone: 50,
    bytesDone: 750,
    percent: 37.5,
    etaSeconds: 13,
  });
});

test('100 percent means finished, keys included; too early to tell is null', () => {
  const copied = table({ bytesDone: 1000, rowsDone: 120 });
  expect(copyStatus([copied], { elapsedMs: 1000, startBytes: 0 })).toMatchObject({
    percent: 99.9,
    etaSeconds: null,
  });
  expect(copyStatus([{ ...copied, finished: true }], { elapsedMs: 1000, startBytes: 0 })).toMatchObject({
    percent: 100,
    rowsEstimated: 120,
    etaSeconds: 0,
  });
  expect(copyStatus([], { elapsedMs: 0, startBytes: 0 })).toMatchObject({ percent: 100, tables: 0 });
});
