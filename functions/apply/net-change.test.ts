import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseTextArray } from '../../shared/postgres/text-array.ts';
import { RecordDecoder } from '../../shared/stream/decode.ts';
import {
  pgoutput,
  records,
  type TestOld,
  type TestRelation,
  type TestRow,
} from '../../test/support/pgoutput-bytes.ts';
import { netChanges, type Run } from './net-change.ts';
import { planTable, type SetStatement } from './plan.ts';
import type { ApplyTable } from './tables.ts';

/** Two columns of a key, two that may be TOASTed, one that never is. The second is written as an array in text. */
const COLUMNS = ['k', 'l', 'one', 'two', 'n'];
const relations: readonly TestRelation[] = [1, 2].map((oid) => ({
  oid,
  schema: 'public',
  name: `t${oid}`,
  identity: oid === 1 ? 'd' : 'f',
  columns: COLUMNS.map((name, i) => ({ name, inKey: i < 2 })),
}));
const heartbeat: TestRelation = {
  oid: 3,
  schema: 'pgtwin',
  name: 'heartbeat',
  identity: 'd',
  columns: [{ name: 'at', inKey: true }],
};
const outcome: TestRelation = { ...heartbeat, oid: 4, name: 'outcome' };

const tables = relations.map(
  (r): ApplyTable =>
    ({
      sql: r.name,
      columns: COLUMNS,
      types: COLUMNS.map((_, i) => ({ cast: 'text', literal: i === 1 })),
      key: [0, 1],
      notUpdatable: new Set(),
      fixed: [],
    }) as unknown as ApplyTable,
);

type Content = Map<string, TestRow>;
const keyOf = (row: TestRow): string => JSON.stringify(row.slice(0, 2));

/** What a user may do next; which row it is, is chosen among those that are there. */
type Step = {
  readonly table: 0 | 1;
  readonly op:
    | 'insert'
    | 'update'
    | 'move'
    | 'delete'
    | 'truncate'
    | 'heartbeat'
    | 'outcome'
    | 'commit'
    | 'redefine';
  readonly pick: number;
  readonly values: readonly (string | null)[];
  /** Columns that an update leaves as they are: sent as unchanged, the key too. */
  readonly kept: readonly boolean[];
  /** An old tuple comes along although the key stays. */
  readonly old: boolean;
};
const value = fc.oneof(fc.string({ maxLength: 4 }), fc.constantFrom(null, '', '"\\,{}', 'NULL', 'ä☃'));
const step: fc.Arbitrary<Step> = fc.record({
  table: fc.constantFrom(0 as const, 1 as const),
  op: fc.constantFrom(
    ...(['insert', 'insert', 'update', 'update', 'update', 'delete', 'delete', 'move', 'commit'] as const),
    ...(['truncate', 'heartbeat', 'outcome', 'redefine'] as const),
  ),
  pick: fc.nat(1_000),
  values: fc.tuple(value, value, value),
  kept: fc.tuple(fc.boolean(), fc.boolean(), fc.boolean(), fc.boolean()),
  old: fc.boolean(),
});

const keys = ['', 'a', 'ä"\\', 'b,c', 'd'].flatMap((k) => ['', 'x', 'NULL'].map((l) => [k, l] as const));

/** Runs the steps on the source: its content at the start and at the end, and the bytes that came of it. */
function write(steps: readonly Step[], filled: readonly number[]) {
  const source: Content[] = [new Map(), new Map()];
  for (const n of filled) {
    const row = [...keys[n % keys.length]!, 'one', 'two', String(n)];
    source[n % 2]!.set(keyOf(row), row);
  }
  const start = source.map((content) => new Map(content));
  const list: Buffer[] = [heartbeat, outcome, ...relations].map(pgoutput.relation);
  let commit = 100n;
  list.push(pgoutput.begin(commit, 0n, 1));
  for (const s of steps) {
    const content = source[s.table]!;
    const { oid, identity } = relations[s.table]!;
    const there = [...content.values()];
    const row = there[s.pick % Math.max(1, there.length)];
    const free = keys.filter((k) => !content.has(keyOf(k)));
    const next = free[s.pick % Math.max(1, free.length)];
    const oldOf = (r: TestRow): TestOld =>
      identity === 'f' ? { kind: 'O', row: r } : { kind: 'K', row: [r[0], r[1], null, null, null] };
    if (s.op === 'commit') {
      list.push(pgoutput.commit(commit, commit + 1n, 0n));
      commit += 2n;
      list.push(pgoutput.begin(commit, 0n, 1));
    } else if (s.op === 'heartbeat') list.push(pgoutput.update(heartbeat.oid, ['x']));
    else if (s.op === 'outcome') list.push(pgoutput.insert(outcome.oid, ['x']));
    else if (s.op === 'redefine') list.push(pgoutput.relation(relations[s.table]!));
    else if (s.op === 'truncate') {
      content.clear();
      list.push(pgoutput.truncate([oid]));
    } else if (s.op === 'insert' && next) {
      const inserted = [...next, ...s.values];
      content.set(keyOf(inserted), inserted);
      list.push(pgoutput.insert(oid, inserted));
    } else if (s.op === 'delete' && row) {
      content.delete(keyOf(row));
      list.push(pgoutput.delete(oid, oldOf(row)));
    } else if (s.op === 'update' && row) {
      const [one, two, n] = s.values;
      const now: TestRow = [row[0], row[1], s.kept[2] ? row[2] : one, s.kept[3] ? row[3] : two, n];
      const old = s.old || s.kept[0] || s.kept[1] || identity === 'f' ? oldOf(row) : undefined;
      const sent = now.map((v, i) => (i < 4 && s.kept[i] && v !== null ? undefined : v));
      content.set(keyOf(now), now);
      list.push(pgoutput.update(oid, sent, old));
    } else if (s.op === 'move' && row && next) {
      const now: TestRow = [...next, row[2], row[3], s.values[2]];
      const sent = now.map((v, i) => ((i === 2 || i === 3) && s.kept[i] && v !== null ? undefined : v));
      content.delete(keyOf(row));
      content.set(keyOf(now), now);
      list.push(pgoutput.update(oid, sent, oldOf(row)));
    }
  }
  list.push(pgoutput.commit(commit, commit + 1n, 0n));
  return { start, end: source, list };
}

/** One parameter of a statement as the server takes it. */
function arrayOf(parameter: Buffer | string): (string | null)[] {
  if (typeof parameter === 'string') return parseTextArray(parameter);
  const count = parameter.readInt32BE(12);
  const values: (string | null)[] = [];
  let p = 20;
  for (let i = 0; i < count; i++) {
    const length = parameter.readInt32BE(p);
    values.push(length < 0 ? null : parameter.toString('utf8', p + 4, p + 4 + length));
    p += 4 + Math.max(0, length);
  }
  expect(p).toBe(parameter.length);
  expect(parameter.readInt32BE(4)).toBe(values.includes(null) ? 1 : 0);
  return values;
}

/** What the server does with a statement; every row must go as planned. */
function execute(content: Content, s: SetStatement): void {
  const arrays = s.parameters.map(arrayOf);
  for (const array of arrays) expect(array.length).toBe(s.rows.length);
  for (let n = 0; n < s.rows.length; n++) {
    const sent = new Map(s.columns.map((c, i) => [c, arrays[i]![n]!]));
    const key = JSON.stringify([sent.get(0), sent.get(1)]);
    expect(content.has(key)).toBe(s.op !== 'insert');
    const row = content.get(key) ?? [];
    if (s.op === 'delete') content.delete(key);
    else
      content.set(
        key,
        COLUMNS.map((_, c) => (sent.has(c) ? sent.get(c) : row[c])),
      );
  }
}

test('what changes come to, by sets, is what they come to one by one', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 40 }),
      fc.array(fc.nat(100), { maxLength: 12 }),
      (steps, filled) => {
        const { start, end, list } = write(steps, filled);
        const decoded = new RecordDecoder().decode(records(list));
        const tableOf = (i: number) => tables[decoded.relations[i]!.oid - 1];
        const runs: Run[] = netChanges(decoded, decoded.transactions, tableOf, () => true);
        const destination = start;
        for (const run of runs) {
          if ('net' in run) {
            for (const net of run.net)
              for (const statement of planTable(decoded.bytes, net))
                execute(destination[tables.indexOf(net.table)]!, statement);
            continue;
          }
          // By itself: as a batch of this change alone, or a TRUNCATE, a key change, a control row.
          const table = tableOf(run.alone);
          if (!table) continue;
          moveOrTruncate(destination[tables.indexOf(table)]!, decoded, run.alone);
        }
        expect(destination).toEqual(end);
      },
    ),
    { numRuns: 3_000 },
  );
});

test('each key stands once between two barriers, and nothing is left out or done twice', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { list } = write(steps, [1, 2, 3, 4]);
      const decoded = new RecordDecoder().decode(records(list));
      const tableOf = (i: number) => tables[decoded.relations[i]!.oid - 1];
      const runs = netChanges(decoded, decoded.transactions, tableOf, () => true);
      let last = -1;
      for (const run of runs) {
        if ('alone' in run) {
          expect(run.alone).toBeGreaterThan(last);
          last = run.alone;
          continue;
        }
        const rows = run.net.flatMap(({ rows: all }) => [...all.entries()]);
        for (const [, row] of rows) {
          expect(row.first).toBeGreaterThan(last);
          expect(row.last).toBeGreaterThanOrEqual(row.first);
        }
        last = Math.max(last, ...rows.map(([, row]) => row.last));
      }
    }),
    { numRuns: 500 },
  );
});

function moveOrTruncate(content: Content, decoded: ReturnType<RecordDecoder['decode']>, i: number): void {
  if (decoded.newAt[i] === 0 && decoded.oldAt[i] === 0) return content.clear();
  const read = (at: number): TestRow => {
    const row: (string | null | undefined)[] = [];
    let p = at + 2;
    for (const _ of COLUMNS) {
      const kind = decoded.bytes[p];
      const length = kind === 0x74 ? decoded.bytes.readUInt32BE(p + 1) : 0;
      row.push(
        kind === 0x74
          ? decoded.bytes.toString('utf8', p + 5, p + 5 + length)
          : kind === 0x6e
            ? null
            : undefined,
      );
      p += kind === 0x74 ? 5 + length : 1;
    }
    return row;
  };
  const old = read(Math.abs(decoded.oldAt[i]!));
  const row = content.get(keyOf(old))!;
  content.delete(keyOf(old));
  const moved = read(decoded.newAt[i]!).map((v, c) => (v === undefined ? row[c] : v));
  expect(keyOf(moved)).not.toBe(keyOf(old));
  content.set(keyOf(moved), moved);
}
