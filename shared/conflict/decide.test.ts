import { describe, expect, test } from 'vitest';
import { decide } from './decide.ts';
import { decideAlone } from './each-side.ts';
import { follow } from './follow.ts';
import type { Context } from './judge.ts';
import type { Settings } from './policies/policy.ts';
import { keyOf, type Row, type Table } from './rows.ts';
import type { Change, Local, Step, Steps } from './steps.ts';

const table: Table = {
  name: 'item',
  columns: ['id', 'x', 'n', 'u', 'v'],
  key: [0],
  uniques: [
    { columns: [3], nullsEqual: false },
    { columns: [4], nullsEqual: false },
  ],
};
const settings: Settings = {
  policy: 'overwrite',
  onDeleted: 'restore',
  preferredSide: 'a',
  fallback: 'last-write-wins',
  deltaColumns: [],
};
const context = (over: Partial<Settings> = {}, rest: Partial<Context> = {}): Context => ({
  table,
  settings: { ...settings, ...over },
  source: { position: 'p', time: 10n, side: 'a' },
  publish: true,
  ...rest,
});

/** A local row: seen unless said. */
type Here = {
  readonly row: Row;
  readonly unseen?: boolean;
  readonly time?: bigint;
  /** Who wrote it: `b`, where it is decided, unless said. */
  readonly side?: 'a';
};

/** Runs a decision against rows; answers what it did, and the rows after. */
const play = (steps: Steps, here: readonly Here[], gone: Partial<Local> = {}) => {
  const rows = new Map(here.map((each) => [each.row[0] as string, each]));
  const did: string[] = [];
  const localOf = (found: Here | undefined, key: readonly string[]): Local => ({
    key: found ? keyOf(table, found.row) : key,
    row: found?.row ?? null,
    unseen: found?.unseen ?? false,
    unsure: false,
    time: found?.time ?? (found ? 5n : null),
    side: found?.side ?? 'b',
    pull: null,
    ...(found ? {} : gone),
  });
  const carryOut = (step: Step): Local | undefined => {
    if (step.do === 'read') {
      if (step.by === 'key') return localOf(rows.get(step.key[0]!), step.key);
      const [column] = step.unique.columns;
      return localOf(
        [...rows.values()].find(({ row }) => row[column!] === step.values[0]),
        [],
      );
    }
    if (step.do === 'log' || step.do === 'stop')
      did.push(`${step.do} ${step.entry.kind} ${step.entry.result}`);
    else if (step.do === 'insert') rows.set(step.row[0] as string, { row: step.row });
    else if (step.do === 'update') {
      const old = rows.get(step.key[0]!)!.row;
      rows.delete(step.key[0]!);
      const row = step.row.map((value, column) => (value === undefined ? old[column] : value));
      rows.set(row[0] as string, { row });
    } else if (step.do === 'delete') rows.delete(step.key[0]!);
    else did.push(`${step.do} ${step.key}`);
    return undefined;
  };
  let step = steps.next();
  while (!step.done) {
    const stops = step.value.do === 'stop';
    const answer = carryOut(step.value);
    if (stops) break;
    step = steps.next(answer);
  }
  return {
    did,
    rows: [...rows.values()].map(({ row }) => row.map((value) => value ?? '-').join(' ')).sort(),
  };
};

const insert = (...row: Row): Change => ({ op: 'insert', key: [row[0] as string], row });
const update = (row: Row, old: Row | null = null): Change => ({
  op: 'update',
  key: [row[0] as string],
  row,
  old,
});
const remove = (key: string, old: Row | null = null): Change => ({ op: 'delete', key: [key], old });
const theirs: Row = ['1', 'a', '13', null, null];
const ours: Row = ['1', 'b', '20', null, null];
const base: Row = ['1', 'x', '10', null, null];

describe('what goes as planned publishes nothing', () => {
  test.each([
    ['insert', insert(...theirs), [], ['1 a 13 - -']],
    ['update', update(theirs), [{ row: base }], ['1 a 13 - -']],
    ['delete', remove('1'), [{ row: base }], []],
  ] as const)('%s', (_name, change, here, rows) => {
    expect(play(decide(change, context()), here)).toEqual({ did: [], rows });
  });

  test('an insert that meets a later version of its own side: copied after it', () => {
    const stops = context({ policy: 'task-failed' });
    const copied = play(decide(insert(...theirs), stops), [{ row: base, side: 'a' }]);
    expect(copied).toEqual({ did: [], rows: ['1 a 13 - -'] });
    const open = play(decide(insert(...theirs), context()), [{ row: base, side: 'a', unseen: true }]);
    expect(open.did).toEqual(['log insert_exists source', 'outcome 1']);
  });
});

describe('PostgreSQL conflict kinds, by name', () => {
  test('insert_exists', () => {
    const result = play(decide(insert(...theirs), context()), [{ row: ours }]);
    expect(result).toEqual({ did: ['log insert_exists source', 'outcome 1'], rows: ['1 a 13 - -'] });
    const other = play(decide(insert('2', 'a', '0', 'u', null), context()), [
      { row: ['1', 'b', '0', 'u', null] },
    ]);
    expect(other.did).toEqual(['log insert_exists source', 'outcome 1', 'outcome 2']);
    expect(other.rows).toEqual(['2 a 0 u -']);
  });

  test('update_origin_differs', () => {
    const result = play(decide(update(theirs), context({ policy: 'ignore' })), [{ row: ours, unseen: true }]);
    expect(result).toEqual({
      did: ['log update_origin_differs destination', 'outcome 1'],
      rows: ['1 b 20 - -'],
    });
  });

  test('update_exists', () => {
    const here = [{ row: base }, { row: ['2', 'b', '0', 'u', null] }];
    const change = update(['1', 'a', '10', 'u', null]);
    expect(play(decide(change, context()), here).rows).toEqual(['1 a 10 u -']);
    const lost = play(decide(change, context({ policy: 'ignore' })), here);
    expect(lost).toEqual({
      did: ['log update_exists destination', 'outcome 1'],
      rows: ['1 x 10 - -', '2 b 0 u -'],
    });
  });

  test('update_missing becomes an insert, or is pulled where a value was not sent', () => {
    const whole = play(decide(update(theirs), context()), []);
    expect(whole).toEqual({ did: ['log update_missing source', 'outcome 1'], rows: ['1 a 13 - -'] });
    const partial = play(decide(update(['1', undefined, '13', null, null]), context()), []);
    expect(partial).toEqual({ did: ['log update_missing asked', 'pull 1'], rows: [] });
  });

  test('update_deleted, by each setting', () => {
    const by = (onDeleted: Settings['onDeleted'], time: bigint) =>
      play(decide(update(theirs), context({ onDeleted })), [], { time });
    expect(by('restore', 20n).did).toEqual(['log update_deleted source', 'outcome 1']);
    expect(by('stay-deleted', 5n)).toEqual({
      did: ['log update_deleted destination', 'outcome 1'],
      rows: [],
    });
    expect(by('by-time', 20n).rows).toEqual([]);
    expect(by('by-time', 5n).rows).toEqual(['1 a 13 - -']);
  });

  test('delete_origin_differs', () => {
    const here = [{ row: ours, unseen: true, time: 20n }];
    expect(play(decide(remove('1'), context()), here)).toEqual({
      did: ['log delete_origin_differs source', 'outcome 1'],
      rows: [],
    });
    expect(play(decide(remove('1'), context({ policy: 'last-write-wins' })), here).rows).toEqual([
      '1 b 20 - -',
    ]);
  });

  test('delete_missing is counted and ignored', () => {
    expect(play(decide(remove('1'), context()), [])).toEqual({
      did: ['log delete_missing nothing'],
      rows: [],
    });
  });

  test('multiple_unique_conflicts', () => {
    const here = [{ row: ['2', 'b', '0', 'u', null] }, { row: ['3', 'b', '0', null, 'v'] }];
    const result = play(decide(insert('1', 'a', '0', 'u', 'v'), context()), here);
    expect(result.rows).toEqual(['1 a 0 u v']);
    expect(result.did.filter((did) => did.startsWith('outcome'))).toEqual([
      'outcome 2',
      'outcome 3',
      'outcome 1',
    ]);
    expect(result.did[0]).toBe('log multiple_unique_conflicts source');
  });
});

describe('more kinds', () => {
  test('key_change onto a row wins or loses as a whole', () => {
    const change: Change = { op: 'move', key: ['1'], to: ['2'], row: ['2', 'a', '0', null, null], old: null };
    const here = [{ row: base }, { row: ['2', 'b', '0', null, null] }];
    expect(play(decide(change, context()), here)).toEqual({
      did: ['log key_change source', 'outcome 1', 'outcome 2'],
      rows: ['2 a 0 - -'],
    });
    expect(play(decide(change, context({ policy: 'ignore' })), here).rows).toEqual([
      '1 x 10 - -',
      '2 b 0 - -',
    ]);
  });

  test('truncate spares what its author had not seen, if the policy says so', () => {
    const change: Change = { op: 'truncate-row', key: ['1'] };
    expect(play(decide(change, context({ policy: 'ignore' })), [{ row: ours, unseen: true }])).toEqual({
      did: ['log truncate destination', 'outcome 1'],
      rows: ['1 b 20 - -'],
    });
    expect(play(decide(change, context({ policy: 'ignore' })), [{ row: ours }])).toEqual({
      did: [],
      rows: [],
    });
  });

  test('a change made on exactly this row is no conflict, but its outcome is published', () => {
    const result = play(decide(update(theirs, ours), context({ policy: 'ignore' })), [
      { row: ours, unseen: true },
    ]);
    expect(result).toEqual({ did: ['outcome 1'], rows: ['1 a 13 - -'] });
  });
});

describe('policies', () => {
  const unseen = [{ row: ours, unseen: true, time: 20n }];
  const rows = (over: Partial<Settings>, change = update(theirs, base)) =>
    play(decide(change, context(over)), unseen).rows;

  test('task-failed stops, and a choice goes on', () => {
    const stopped = play(decide(update(theirs), context({ policy: 'task-failed' })), unseen);
    expect(stopped).toEqual({ did: ['stop update_origin_differs stopped'], rows: ['1 b 20 - -'] });
    const chosen = play(
      decide(update(theirs), context({ policy: 'task-failed' }, { choice: 'source' })),
      unseen,
    );
    expect(chosen).toEqual({ did: ['log update_origin_differs source', 'outcome 1'], rows: ['1 a 13 - -'] });
  });

  test('last-write-wins by hybrid time, ties and unknown times by side', () => {
    expect(rows({ policy: 'last-write-wins' })).toEqual(['1 b 20 - -']);
    const at = (time: bigint | null, preferredSide: 'a' | 'b') =>
      play(
        decide(
          update(theirs),
          context(
            { policy: 'last-write-wins', preferredSide },
            { source: { position: 'p', time, side: 'a' } },
          ),
        ),
        unseen,
      ).rows;
    expect(at(21n, 'b')).toEqual(['1 a 13 - -']);
    expect(at(20n, 'b')).toEqual(['1 b 20 - -']);
    expect(at(20n, 'a')).toEqual(['1 a 13 - -']);
    expect(at(null, 'a')).toEqual(['1 a 13 - -']);
  });

  test('source-priority', () => {
    expect(rows({ policy: 'source-priority', preferredSide: 'a' })).toEqual(['1 a 13 - -']);
    expect(rows({ policy: 'source-priority', preferredSide: 'b' })).toEqual(['1 b 20 - -']);
  });

  test('merge-columns takes each column from the side that changed it', () => {
    const change = update(['1', 'a', '10', null, null], base);
    const result = play(decide(change, context({ policy: 'merge-columns' })), [
      { row: ['1', 'x', '20', null, null], unseen: true },
    ]);
    expect(result).toEqual({ did: ['log update_origin_differs merged', 'outcome 1'], rows: ['1 a 20 - -'] });
    expect(rows({ policy: 'merge-columns', fallback: 'ignore' })).toEqual(['1 b 20 - -']);
  });

  test('delta adds up, also where the rest of the row loses', () => {
    expect(rows({ policy: 'delta', deltaColumns: [2], fallback: 'ignore' })).toEqual(['1 b 23 - -']);
    expect(rows({ policy: 'delta', deltaColumns: [2], fallback: 'overwrite' })).toEqual(['1 a 23 - -']);
    const lost = play(
      decide(
        update(['1', 'a', '13', 'u', null], base),
        context({ policy: 'delta', deltaColumns: [2], fallback: 'ignore' }),
      ),
      [{ row: base }, { row: ['2', 'b', '0', 'u', null] }],
    );
    expect(lost.rows).toEqual(['1 x 13 - -', '2 b 0 u -']);
  });

  test('resolver decides, and what is no valid answer stops the task', () => {
    const by = (resolver: NonNullable<Settings['resolver']>) =>
      play(decide(update(theirs), context({ policy: 'resolver', resolver })), unseen);
    expect(by(() => ['1', 'both', '33', null, null]).rows).toEqual(['1 both 33 - -']);
    expect(by(() => 'delete')).toEqual({ did: ['log update_origin_differs merged', 'outcome 1'], rows: [] });
    for (const bad of [
      () => ['2', 'k', '1', null, null],
      () => ['1'],
      () => 'perhaps',
      () => {
        throw new Error('no');
      },
    ])
      expect(by(bad as never).did).toEqual(['stop update_origin_differs stopped']);
  });
});

test('without a reverse task nothing is published, and what lacks a value is logged', () => {
  const partial = update(['1', undefined, '13', null, null]);
  expect(play(decide(partial, context({}, { publish: false })), [])).toEqual({
    did: ['log update_missing incomplete'],
    rows: [],
  });
});

test('each side alone sees only what the rows show', () => {
  expect(play(decideAlone(update(theirs), context()), [{ row: ours, unseen: true }])).toEqual({
    did: [],
    rows: ['1 a 13 - -'],
  });
  expect(play(decideAlone(insert(...theirs), context({ policy: 'ignore' })), [{ row: ours }])).toEqual({
    did: ['log insert_exists destination'],
    rows: ['1 b 20 - -'],
  });
});

describe('the follower skips and pulls', () => {
  test.each([
    ['an unseen row', update(theirs), [{ row: ours, unseen: true }]],
    ['a missing row', update(theirs), []],
    ['a deletion of an unseen row', remove('1'), [{ row: ours, unseen: true }]],
    ['an insert onto a row', insert(...theirs), [{ row: ours }]],
    ['a taken unique value', insert('1', 'a', '0', 'u', null), [{ row: ['2', 'b', '0', 'u', null] }]],
  ] as const)('%s', (_name, change, here) => {
    const result = play(follow(change, table), here);
    expect(result.did).toEqual(['pull 1']);
    expect(result.rows).toEqual(here.map(({ row }) => row.map((value) => value ?? '-').join(' ')));
  });

  test('an outcome displaces what collides, and pulls it', () => {
    const change: Change = { op: 'outcome', key: ['1'], row: ['1', 'b', '0', 'u', null], pull: null };
    const result = play(follow(change, table), [{ row: ['2', 'a', '0', 'u', null] }]);
    expect(result).toEqual({ did: ['pull 2'], rows: ['1 b 0 u -'] });
  });

  test('an absence that deletes a row is pulled once more', () => {
    const change: Change = { op: 'outcome', key: ['1'], row: null, pull: 'p' };
    expect(play(follow(change, table), [{ row: ours }])).toEqual({ did: ['pull 1'], rows: [] });
    expect(play(follow(change, table), [])).toEqual({ did: [], rows: [] });
    expect(play(follow(change, table), [], { pull: { id: 'p', skipped: true } })).toEqual({
      did: ['close 1', 'pull 1'],
      rows: [],
    });
  });

  test('what the other side does not see is left alone by an absence', () => {
    const change: Change = { op: 'outcome', key: ['1'], row: null, pull: null };
    const steps = follow(change, table);
    steps.next();
    const local: Local = {
      key: ['1'],
      row: ours,
      unseen: false,
      unsure: false,
      time: null,
      side: 'a',
      pull: null,
      outside: true,
    };
    expect(steps.next(local).done).toBe(true);
  });
});
