import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RecordDecoder } from '../../shared/stream/decode.ts';
import { pgoutput, records } from '../../test/support/pgoutput-bytes.ts';
import { copyText } from './copy-rows.ts';
import type { NetRow } from './net-change.ts';

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

function copied(rows: readonly (readonly [string | null, string | null])[]): string {
  const columns = ['a', 'b'];
  const relation = {
    ...{ oid: 7, schema: 's', name: 't', identity: 'd' },
    columns: columns.map((name, n) => ({ name, inKey: n === 0 })),
  };
  const decoded = new RecordDecoder().decode(
    records([
      pgoutput.relation(relation),
      pgoutput.begin(1n, 1n, 1),
      ...rows.map((row) => pgoutput.insert(7, row)),
      pgoutput.commit(1n, 2n, 1n),
    ]),
  );
  const net = decoded.newAt.map(
    (at, i) => ({ op: 'insert', at, refs: undefined, first: i, last: i }) as NetRow,
  );
  return Buffer.concat([...copyText(decoded.bytes, { columns }, net)]).toString();
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
