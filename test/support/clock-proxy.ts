import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { FrameSplitter } from '../../shared/postgres/frames.ts';

/**
 * Where a commit's time stands in a pgoutput message, behind the header of XLogData (manual, 54.4 and 54.9): Begin,
 * Commit, Stream Commit.
 */
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
  const sockets = new Set<Socket>();
  let offset = 0n;
  const change = (frames: Buffer, start: number): void => {
    if (frames[start] !== XLOG_DATA) return;
    const at = timeAt[String.fromCharCode(frames[start + MESSAGE]!)];
    if (at === undefined) return;
    const place = start + MESSAGE + at;
    frames.writeBigInt64BE(frames.readBigInt64BE(place) + offset, place);
  };
  const server = createServer((client) => {
    const upstream = connect(target);
    const splitter = new FrameSplitter(
      'd'.charCodeAt(0),
      (frames, start, end) => {
        change(frames, start);
        client.write(Buffer.from(frames.subarray(start - 5, end)));
      },
      (bytes) => client.write(Buffer.from(bytes)),
    );
    client.on('data', (data) => upstream.write(data));
    upstream.on('data', (data: Buffer) => splitter.push(data));
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on('end', () => other.end());
      socket.on('error', () => other.destroy());
      socket.on('close', () => sockets.delete(socket));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return {
    get offsetMs() {
      return Number(offset / 1000n);
    },
    set offsetMs(value) {
      offset = BigInt(value) * 1000n;
    },
    through(url) {
      const through = new URL(url);
      through.host = `127.0.0.1:${port}`;
      return through.href;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
