import { FrameSplitter } from '../../shared/postgres/frames.ts';
import { openProxy, type Rewrite } from './tcp-proxy.ts';

/**
 * Where a commit's time stands in a pgoutput message, behind the header of XLogData (manual, 54.4 and 54.9): Begin,
 * Commit, Stream Commit.
 */
const COPY_DATA = 'd'.charCodeAt(0);
const FRAME_HEADER = 1 + 4;
const XLOG_DATA = 'w'.charCodeAt(0);
const MESSAGE = 1 + 8 + 8 + 8;
const timeAt: Readonly<Record<string, number>> = { B: 1 + 8, C: 1 + 1 + 8 + 8, c: 1 + 4 + 1 + 8 + 8 };

export type ClockProxy = AsyncDisposable & {
  /** So much is added to the time of every commit that is read through it. */
  offsetMs: number;
  through(url: string): string;
};

/**
 * A way to a server that makes its clock wrong for whoever reads its stream, which no server of one machine can have:
 * all of them take the machine's clock. Connections without TLS only.
 */
export async function openClockProxy(target: {
  readonly host: string;
  readonly port: number;
}): Promise<ClockProxy> {
  let offset = 0n;
  const change = (frames: Buffer, start: number): void => {
    if (frames[start] !== XLOG_DATA) return;
    const at = timeAt[String.fromCharCode(frames[start + MESSAGE]!)];
    if (at === undefined) return;
    const place = start + MESSAGE + at;
    frames.writeBigInt64BE(frames.readBigInt64BE(place) + offset, place);
  };
  const rewriting = (): Rewrite => {
    let whole: Buffer[] = [];
    const splitter = new FrameSplitter(
      COPY_DATA,
      (frames, start, end) => {
        change(frames, start);
        whole.push(frames.subarray(start - FRAME_HEADER, end));
      },
      (bytes) => whole.push(bytes),
    );
    return (data) => {
      whole = [];
      splitter.push(data);
      return Buffer.concat(whole);
    };
  };
  const proxy = await openProxy(target, rewriting);
  return {
    get offsetMs() {
      return Number(offset / 1000n);
    },
    set offsetMs(value) {
      offset = BigInt(value) * 1000n;
    },
    through: proxy.through,
    [Symbol.asyncDispose]: proxy.close,
  };
}
