import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type DecodedChanges, RecordDecoder } from '../../shared/stream/decode.ts';
import { pgoutput, records } from '../../test/support/pgoutput-bytes.ts';
import { copyText, onlyInserts, type Tuples } from './copy-rows.ts';
import { refsOf } from './net-change.ts';
import type { ApplyTable } from './tables.ts';

/** COPY's text format read back, as the manual has it. */
const readCopy = (text: string): (string | null)[][] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) =>
      line
        .split('\t')
        .map((value) =>
          value === '\\N'
            ? null
            : value.replace(/\\(.)/g, (_, c: string) => ({ t: '\t', n: '\n', r: '\r' })[c] ?? c),
        ),
    );

const relation = (oid: number) => ({
  ...{ oid, schema: 's', name: `t${oid}`, identity: 'd' },
  columns: ['a', 'b'].map((name, n) => ({ name, inKey: n === 0 })),
});

const decode = (changes: readonly Buffer[]) =>
  new RecordDecoder().decode(
    records([
      pgoutput.relation(relation(7)),
      pgoutput.relation(relation(8)),
      pgoutput.begin(1n, 1n, 1),
      ...changes,
      pgoutput.commit(1n, 2n, 1n),
    ]),
  );

const text = ({ bytes }: DecodedChanges, tuples: Tuples): string =>
  Buffer.concat([...copyText(bytes, { columns: ['a', 'b'] }, tuples)]).toString();

function copied(rows: readonly (readonly [string | null, string | null])[]): string {
  const decoded = decode(rows.map((row) => pgoutput.insert(7, row)));
  const whole = text(decoded, decoded.newAt);
  // A row whose values come from several tuples.
  expect(
    text(
      decoded,
      decoded.newAt.map((at) => refsOf(decoded.bytes, at)),
    ),
  ).toBe(whole);
  return whole;
}

test('rows go through COPY as they are: text of any kind, NULL, and what looks like it', () => {
  const value = fc.option(
    fc.oneof(
      fc.string({
        unit: fc.constantFrom('\t', '\n', '\r', '\\', 'N', '.', 't', 'n', 'ä', '𝒳', '\u0001', ' '),
      }),
      fc.string({ unit: 'binary' }).map((s) => s.replaceAll('\0', '').toWellFormed()),
      fc.constantFrom('\\N', '\\.', ''),
    ),
    { nil: null },
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(value, value), { minLength: 1, maxLength: 8 }), (rows) => {
      expect(readCopy(copied(rows))).toEqual(rows);
    }),
    { numRuns: 50 },
  );
});

test('values larger than a buffer, and many rows', () => {
  const rows = Array.from({ length: 20_000 }, (_, n): [string, string | null] => [
    String(n),
    n % 3 ? 'some text\t' : null,
  ]);
  rows[7] = ['7', '\\'.repeat(400_000)];
  expect(readCopy(copied(rows))).toEqual(rows);
});

test('what is new rows and nothing else needs no netting: by table, in order', () => {
  const tables = new Map<number, ApplyTable>([7, 8].map((oid) => [oid, { sql: `t${oid}` } as ApplyTable]));
  const inserts = [
    pgoutput.insert(7, ['1', 'one']),
    pgoutput.insert(8, ['2', 'two']),
    pgoutput.insert(7, ['3', null]),
  ];
  const of = (decoded: DecodedChanges, known = tables) =>
    onlyInserts(decoded, decoded.transactions, ({ oid }) => known.get(oid));
  const decoded = decode(inserts);
  const found = [...of(decoded)!].map(([{ sql }, tuples]) => [sql, text(decoded, tuples)]);
  expect(found).toEqual([
    ['t7', '1\tone\n3\t\\N\n'],
    ['t8', '2\ttwo\n'],
  ]);
  expect(of(decoded, new Map([...tables].slice(1)))).toBeUndefined();
  expect(of(decode([...inserts, pgoutput.update(7, ['1', 'two'])]))).toBeUndefined();
});
