import fc from 'fast-check';
import { expect, test } from 'vitest';
import { binaryCounter, countLines } from './paced.ts';

const fields = fc.array(fc.option(fc.uint8Array({ maxLength: 20 })), { maxLength: 4 });

/** As COPY writes it: signature, flags, extension, rows, trailer. */
function binary(rows: readonly (readonly (Uint8Array | null)[])[]): Buffer {
  const int = (bytes: 2 | 4, value: number) => {
    const buffer = Buffer.alloc(bytes);
    buffer.writeIntBE(value, 0, bytes);
    return buffer;
  };
  return Buffer.concat([
    Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'),
    ...[int(4, 0), int(4, 0)],
    ...rows.flatMap((row) => [
      int(2, row.length),
      ...row.flatMap((value) => (value ? [int(4, value.length), Buffer.from(value)] : [int(4, -1)])),
    ]),
    int(2, -1),
  ]);
}

test('rows of the binary format are counted, wherever the pieces are cut', () => {
  fc.assert(
    fc.property(fc.array(fields, { maxLength: 20 }), fc.integer({ min: 1, max: 40 }), (rows, size) => {
      const data = binary(rows);
      const count = binaryCounter();
      let counted = 0;
      for (let at = 0; at < data.length; at += size) counted += count(data.subarray(at, at + size));
      expect(counted).toBe(rows.length);
    }),
  );
});

test('rows of the text format are its lines', () => {
  expect(countLines(Buffer.from('1\ta\\nb\n2\t\\N\n'))).toBe(2);
  expect(countLines(Buffer.from('half a row'))).toBe(0);
});
