import fc from 'fast-check';
import { expect, test } from 'vitest';
import { damaged } from '../../test/support/pgoutput-bytes.ts';
import { PgtwinError } from '../errors/pgtwin-error.ts';
import {
  compress,
  decompress,
  formatMessage,
  inlineRecords,
  type MessageHeader,
  order,
  parseMessage,
} from './message.ts';
import { endOfTransaction } from './position.ts';

const header = fc.record({
  v: fc.constant(1 as const),
  task: fc.constantFrom('abc_f', 'abc_r'),
  generation: fc.nat(),
  epoch: fc.nat(),
  shard: fc.nat(64),
  config: fc.nat(),
  previous: fc.nat().map((n) => endOfTransaction(BigInt(n))),
  first: fc.nat().map((n) => endOfTransaction(BigInt(n))),
  last: fc.nat().map((n) => endOfTransaction(BigInt(n))),
  endLsn: fc.constantFrom('0/0', '16/B374D848'),
  transactions: fc.nat(),
  changes: fc.nat(),
  bytes: fc.nat(),
  seen: fc.constantFrom('1:0:0:0:', '1:a:b:c:1,2-3'),
}) satisfies fc.Arbitrary<MessageHeader>;

test('a message is read back as it was written', () => {
  fc.assert(
    fc.property(header, fc.uint8Array({ maxLength: 2_000 }), (h, bytes) => {
      const body = formatMessage(h, compress(bytes));
      // SQS takes XML characters only.
      expect(body).toMatch(/^[\n\x20-\x7e]*$/);
      const message = parseMessage(body);
      expect(message.header).toEqual(h);
      expect(inlineRecords(message)).toEqual(Buffer.from(bytes));
      const stored = { ...h, parts: [{ key: 'k/1', bytes: 7 }] };
      expect(parseMessage(formatMessage(stored, undefined))).toEqual({ header: stored, inline: undefined });
    }),
  );
});

test('damaged changes do not decompress to others', () => {
  const whole = Buffer.from(Array.from({ length: 500 }, (_, i) => (i * i) % 251));
  const packed = compress(whole);
  fc.assert(
    fc.property(damaged(packed), (bytes) => {
      let found: Buffer;
      try {
        found = decompress(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(PgtwinError);
        return;
      }
      expect(found).toEqual(whole);
    }),
    { numRuns: 2_000 },
  );
});

test('a damaged message is a PgtwinError', () => {
  fc.assert(
    fc.property(
      header.chain((h) => damaged(Buffer.from(formatMessage(h, compress(Buffer.from('some changes')))))),
      (bytes) => {
        try {
          inlineRecords(parseMessage(bytes.toString('utf8')));
        } catch (error) {
          expect(error).toBeInstanceOf(PgtwinError);
        }
      },
    ),
    { numRuns: 1_000 },
  );
  for (const body of ['', 'null', '[]', '{}', '"x"', '{"v":2}', '\n', 'x'.repeat(100)])
    expect(() => parseMessage(body)).toThrow(PgtwinError);
});

test('the order of everything that was sent: generation, epoch, position', () => {
  fc.assert(
    fc.property(header, header, (a, b) => {
      const numbers = (h: MessageHeader) => [h.generation, h.epoch, Number.parseInt(h.last.slice(0, 16), 16)];
      const [x, y] = [numbers(a), numbers(b)];
      const difference = x.map((n, i) => n - y[i]!).find((d) => d !== 0) ?? 0;
      const [left, right] = [order(a, a.last), order(b, b.last)];
      expect(left < right ? -1 : left > right ? 1 : 0).toBe(Math.sign(difference));
    }),
  );
});
