import { from as copyFrom } from 'pg-copy-streams';
import { giveBack } from './copy-out.ts';

const COPY_DATA = 0x64; // d
const LENGTH_BYTES = 4;

type Socketlike = { write(bytes: Buffer, written?: () => void): boolean };
/** The library's own way to send a chunk, which does not say when it has gone. */
type Sending = { connection: { readonly stream: Socketlike }; flushChunk(chunk: Buffer): boolean };

/** COPY FROM STDIN as a stream; the memory of a chunk that comes from `CopyOut` is free as soon as it has gone. */
export function copyIn(sql: string, highWaterMark: number) {
  const stream = copyFrom(sql, { highWaterMark });
  const sending = stream as unknown as Sending;
  sending.flushChunk = (chunk) => {
    const { stream: socket } = sending.connection;
    const head = Buffer.allocUnsafe(1 + LENGTH_BYTES);
    head[0] = COPY_DATA;
    head.writeUInt32BE(LENGTH_BYTES + chunk.length, 1);
    socket.write(head);
    return socket.write(chunk, () => giveBack(chunk));
  };
  return stream;
}
