import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { finished } from 'node:stream/promises';
import fc from 'fast-check';
import type pg from 'pg';
import { expect, test } from 'vitest';
import { CopyOut, giveBack, rowsIn } from './copy-out.ts';

const frame = (type: string, content: Uint8Array = Buffer.alloc(0)): Buffer => {
  const head = Buffer.alloc(5, type);
  head.writeUInt32BE(4 + content.length, 1);
  return Buffer.concat([head, content]);
};

/** A COPY on a connection whose own listener ends it as `pg` does, and what that listener was given. */
function open(highWaterMark: number) {
  const stream = new PassThrough();
  const others: string[] = [];
  const copy = new CopyOut('copy t to stdout', highWaterMark);
  stream.on('data', (bytes: Buffer) => {
    const type = bytes.toString('latin1', 0, 1);
    others.push(type);
    if (type === 'E') copy.handleError(new Error('refused'));
    if (type === 'Z') copy.handleReadyForQuery();
  });
  const sent: string[] = [];
  const connection = { stream, query: (sql: string) => sent.push(sql) };
  copy.submit(connection as unknown as pg.Connection);
  expect(sent).toEqual(['copy t to stdout']);
  return { stream, others, copy };
}

test('rows come out as they are, however the socket cuts them; all else is for the client', async () => {
  const row = fc.uint8Array({ maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(row, { maxLength: 40 }),
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 20 }),
      fc.constantFrom(1, 64, 100_000),
      async (rows, cuts, highWaterMark) => {
        const { stream, others, copy } = open(highWaterMark);
        const middle = rows.length >> 1;
        const bytes = Buffer.concat([
          frame('H'),
          ...rows.slice(0, middle).map((each) => frame('d', each)),
          frame('N', Buffer.from('a notice')),
          ...rows.slice(middle).map((each) => frame('d', each)),
          ...['c', 'C', 'Z'].map((type) => frame(type)),
        ]);
        const pieces: Buffer[] = [];
        copy.on('data', (piece: Buffer) => pieces.push(piece));
        const ended = finished(copy);
        for (let at = 0, n = 0; at < bytes.length; n++) {
          const size = cuts[n % cuts.length]!;
          stream.write(Buffer.from(bytes.subarray(at, at + size)));
          at += size;
        }
        await ended;
        expect(Buffer.concat(pieces)).toEqual(Buffer.concat(rows));
        const counted = pieces.reduce((sum, piece) => sum + rowsIn(piece), 0);
        // Nothing is no row, of no format.
        expect(counted).toBeGreaterThanOrEqual(rows.filter(({ length }) => length > 0).length);
        expect(counted).toBeLessThanOrEqual(rows.length);
        expect(others).toEqual(['H', 'N', 'c', 'C', 'Z']);
        // What comes next is the client's again.
        stream.write(frame('S'));
        await new Promise((resolve) => setImmediate(resolve));
        expect(others.at(-1)).toBe('S');
      },
    ),
    { numRuns: 100 },
  );
});

test('a reader that is slow is waited for', async () => {
  const { stream, copy } = open(1_000);
  const row = frame('d', Buffer.alloc(500));
  for (let n = 0; n < 100; n++) stream.write(Buffer.from(row));
  for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve));
  expect(copy.readableLength).toBeLessThan(2_000);
  for (const type of ['c', 'C', 'Z']) stream.write(frame(type));
  expect((await buffer(copy)).length).toBe(50_000);
});

test('an error of the server ends it, and the client has its socket back', async () => {
  const { stream, others, copy } = open(1_000);
  const came = buffer(copy);
  for (const each of [frame('H'), frame('d', Buffer.from('row')), frame('E'), frame('Z')]) stream.write(each);
  await expect(came).rejects.toThrow('refused');
  await new Promise((resolve) => setImmediate(resolve));
  expect(others).toEqual(['H', 'E', 'Z']);
});

test('memory is given back of what the socket was read into, and of nothing that others may hold', async () => {
  const { stream, copy } = open(1_000);
  const came: Buffer[] = [];
  copy.on('data', (rows: Buffer) => came.push(rows));
  const rows = Buffer.concat([frame('d', Buffer.from('one,')), frame('d', Buffer.from('two'))]);
  const own = Buffer.from(new ArrayBuffer(rows.length));
  rows.copy(own);
  // The end of the second row is in another read: it is kept in a buffer of the splitter.
  for (const each of [own, rows.subarray(0, 12), rows.subarray(12)]) stream.write(each);
  await new Promise((resolve) => setImmediate(resolve));
  expect(came.map(String)).toEqual(['one,two', 'one,', 'two']);
  for (const each of came) giveBack(each);
  expect(own.buffer.byteLength).toBe(0);
  expect(came.slice(1).map(String)).toEqual(['one,', 'two']);
});
