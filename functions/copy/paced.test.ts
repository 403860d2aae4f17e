import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { Pace } from '../../shared/task/pace.ts';
import { pacedStream } from './paced.ts';

/** A clock that goes on when it is slept on, and only then. */
function openClock() {
  let at = 0;
  return {
    now: () => at,
    async sleep(ms: number) {
      // What has gone is seen before time goes on.
      await new Promise((resolve) => setImmediate(resolve));
      at += ms;
    },
  };
}
const never = new AbortController().signal;
const pieces = (count: number, size: number) =>
  Array.from({ length: count }, (_, n) => Buffer.alloc(size, n % 251));

test('bytes come through as they are, evenly, also where a piece is worth seconds', async () => {
  const clock = openClock();
  const pace = new Pace({ queries: null, rows: 100, bytes: null }, clock, 0);
  const came: { at: number; bytes: number }[] = [];
  const data = pieces(10, 1000);
  const stream = Readable.from(data).pipe(pacedStream(pace, () => 100, never));
  stream.on('data', (piece: Buffer) => came.push({ at: clock.now(), bytes: piece.length }));
  expect(await buffer(stream)).toEqual(Buffer.concat(data));
  await pace.settle();
  // 1,000 rows at 100 a second.
  expect(clock.now()).toBeCloseTo(10_000, 0);
  // Rows are spread over the bytes of their piece: no second is twice as full as another.
  for (let second = 0; second < 9; second++) {
    const bytes = came
      .filter(({ at }) => at >= second * 1000 && at < (second + 1) * 1000)
      .reduce((sum, each) => sum + each.bytes, 0);
    expect(bytes).toBeGreaterThan(700);
    expect(bytes).toBeLessThan(1300);
  }
});

test('a limit that comes while rows go is kept from the next piece on; without one a piece stays as it is', async () => {
  const clock = openClock();
  const pace = new Pace<'queries' | 'rows' | 'bytes'>({ queries: null, rows: null, bytes: null }, clock, 0);
  const data = pieces(10, 1000);
  const came: Buffer[] = [];
  const stream = pacedStream(pace, () => 10, never);
  stream.on('data', (piece: Buffer) => came.push(piece));
  for (const [n, piece] of data.entries()) {
    if (n === 5) pace.set({ queries: null, rows: null, bytes: 1000 });
    await new Promise((written) => stream.write(piece, written));
    if (n === 4) expect(came.every((each, at) => each === data[at])).toBe(true);
  }
  await pace.settle();
  expect(clock.now()).toBeCloseTo(5_000, 0);
});
