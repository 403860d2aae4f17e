import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rewriteCopyText } from './copy-text.ts';

const pieces = (bytes: Buffer, size: number): Buffer[] => {
  const out: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) out.push(bytes.subarray(at, at + size));
  return out;
};
const through = async (input: string, size: number, rewrite: Parameters<typeof rewriteCopyText>[0]) =>
  text(Readable.from(pieces(Buffer.from(input), size)).pipe(rewriteCopyText(rewrite)));

test('values are read and written as COPY does, wherever the stream is cut', async () => {
  const input = 'a\\tb\t\\N\t\\\\N\t\nü\\nx\t\\r\t\\b\t1\n';
  const seen: unknown[] = [];
  for (const size of [1, 2, 3, 7, 1000]) {
    seen.length = 0;
    const out = await through(input, size, (row) => {
      seen.push(row);
      return row;
    });
    expect(seen).toEqual([
      ['a\tb', null, '\\N', ''],
      ['ü\nx', '\r', '\b', '1'],
    ]);
    expect(out).toBe('a\\tb\t\\N\t\\\\N\t\nü\\nx\t\\r\t\b\t1\n');
  }
});

test('rows are left out, and any text comes back', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.option(fc.string({ unit: 'binary' })), { minLength: 2, maxLength: 2 })),
      fc.integer({ min: 1, max: 9 }),
      async (rows, size) => {
        const kept = rows.filter((_, n) => n % 2 === 0);
        let n = 0;
        const written: unknown[] = [];
        const once = await through('x\n'.repeat(rows.length), size, () => rows[n++]);
        await through(once, size, (row) => {
          written.push(row);
          return undefined;
        });
        expect(written).toEqual(rows);
        let place = 0;
        const half = await through(once, size, (row) => (place++ % 2 === 0 ? row : undefined));
        expect(half.split('\n').length - 1).toBe(kept.length);
      },
    ),
    { numRuns: 50 },
  );
});
