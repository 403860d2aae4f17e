import fc from 'fast-check';
import { expect, test } from 'vitest';
import { keyText } from '../../shared/conflict/rows.ts';
import { parseTextArray, textArray } from '../../shared/postgres/text-array.ts';
import { ControlBook } from './control-book.ts';
import type { ApplyTable } from './tables.ts';

const table = { sql: '"public"."item"', table: { key: [0] } } as unknown as ApplyTable;
const stored = { id: '7', xmin: 100, time: null, side: null, met: ['90'], skipped: false };
const book = (...keys: string[]) => {
  const open = new Map(keys.map((key) => [keyText([key]), [stored]]));
  return new ControlBook(new Map([[table.sql, open]]), 1000n);
};

test('of a key one outcome is written, that of the newest version, with the pull that it answers', () => {
  const controls = book();
  controls.met(table, ['1'], { time: 1n, side: 'a' }, 50);
  controls.outcome(table, ['1'], undefined);
  controls.wrote(table, ['1'], { time: 2n, side: 'b' });
  controls.outcome(table, ['1'], '9');
  controls.outcome(table, ['1'], undefined);
  expect(controls.writes).toEqual([
    { do: 'outcome', table, key: ['1'], pull: '9', version: { time: 2n, side: 'b' } },
  ]);
  expect(controls.isOpen(table, ['1'])).toBe(true);
  expect(controls.openKeys(table)).toEqual([['1']]);
});

test('a new pull keeps what was met, and that more of its key was skipped', () => {
  const controls = book();
  controls.met(table, ['1'], { time: 1n, side: 'a' }, 50);
  controls.pull(table, ['1'], [['1'], ['2']]);
  controls.pull(table, ['1'], []);
  expect(controls.writes).toEqual([{ do: 'pull', table, key: ['1'], met: ['50'], skipped: true }]);
  expect(controls.pullChanges).toEqual([]);
  expect(controls.openPull(table, ['1'])).toEqual({ id: '', met: ['50'], skipped: true });
});

test('a pull that was open stays, is skipped, and makes room for a new one once it is answered', () => {
  const controls = book('1');
  expect(controls.openPull(table, ['1'])?.id).toBe('7');
  controls.pull(table, ['1'], []);
  expect(controls.openPull(table, ['1'])).toMatchObject({ id: '7', skipped: true });
  expect(controls.pullChanges).toEqual([{ do: 'skipped', table, key: ['1'] }]);
  controls.close(table, ['1']);
  controls.pull(table, ['1'], []);
  expect(controls.pullChanges).toEqual([{ do: 'close', table, key: ['1'] }]);
  expect(controls.writes).toEqual([{ do: 'pull', table, key: ['1'], met: [], skipped: false }]);
});

test('the text of an array is what PostgreSQL prints, and reads', () => {
  const values = fc.array(
    fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(null, 'NULL', '', '"\\,{}')),
  );
  fc.assert(
    fc.property(values, (list) => {
      expect(parseTextArray(textArray(list))).toEqual(list);
    }),
  );
});
