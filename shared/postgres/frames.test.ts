import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FrameSplitter } from './frames.ts';

const frame = (type: number, content: Uint8Array): Buffer => {
  const bytes = Buffer.alloc(5 + content.length);
  bytes[0] = type;
  bytes.writeUInt32BE(4 + content.length, 1);
  bytes.set(content, 5);
  return bytes;
};

test('frames arrive whole and in order, however the stream is cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(0x64, 0x4e), fc.uint8Array({ maxLength: 40 })), { maxLength: 20 }),
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
      (frames, cuts) => {
        const stream = Buffer.concat(frames.map(([type, content]) => frame(type, content)));
        const seen: string[] = [];
        const splitter = new FrameSplitter(
          0x64,
          (b, start, end) => seen.push(`d${b.toString('hex', start, end)}`),
          (b) => seen.push(`o${b.toString('hex')}`),
        );
        for (let at = 0, n = 0; at < stream.length; n++) {
          const size = cuts[n % cuts.length]!;
          splitter.push(Buffer.from(stream.subarray(at, at + size)));
          at += size;
        }
        expect(seen).toEqual(
          frames.map(([type, content]) =>
            type === 0x64
              ? `d${Buffer.from(content).toString('hex')}`
              : `o${frame(type, content).toString('hex')}`,
          ),
        );
      },
    ),
  );
});

test('a length that can not be is refused, not waited for', () => {
  const splitter = new FrameSplitter(
    0x64,
    () => {},
    () => {},
  );
  expect(() => splitter.push(Buffer.from([0x64, 0, 0, 0, 1]))).toThrow(/length 1/);
});
