import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { z } from 'zod';
import { PgtwinError } from '../errors/pgtwin-error.ts';
import { asPosition, type Position } from './position.ts';

/**
 * What one SQS message holds: a header (one line of JSON) and the changes (base64 of zstd of records), or the names
 * of the stored parts that hold them. A message always holds whole transactions, as far as they concern its shard. One
 * without any is sent to show what should have come before it.
 *
 * Version 1 records: 4 bytes length, then a raw pgoutput message (Relation, Begin, Insert, Update, Delete, Truncate,
 * Commit) or one of our own, told by a lower-case tag: `s` what the sender had seen of the other side, added from
 * here on (before a Begin); `k` a count of changes left out here (their positions stay theirs); `a`, in the first part
 * of a transaction in parts, where records of rolled back subtransactions stand in the parts (number of the part, first
 * offset, offset behind): those do not count, and have no position.
 */
export const FORMAT_VERSION = 1;
export const recordTag = { seen: 0x73, skipped: 0x6b, aborted: 0x61 } as const;

const position = z.string().transform((text) => asPosition(text));
const counter = z.number().int().min(0);

const part = z.strictObject({ key: z.string(), bytes: counter });
export type Part = z.infer<typeof part>;

const header = z.strictObject({
  v: z.literal(FORMAT_VERSION),
  task: z.string(),
  generation: counter,
  epoch: counter,
  shard: counter,
  /** Version of the task's configuration that the capture ran with. */
  config: counter,
  /** Last position sent in this shard before this message; where the epoch began for its first. */
  previous: position,
  first: position,
  last: position,
  /** LSN behind the last transaction's commit: what its slot may be told once all is applied. */
  endLsn: z.string(),
  transactions: counter,
  changes: counter,
  /** Bytes of the records before compression. */
  bytes: counter,
  /** What the sender had seen of the other side before the first transaction (conflict/seen.ts). */
  seen: z.string(),
  /** One transaction that concerns several shards: all are locked, and stand at its position afterwards. */
  allShards: z.literal(true).optional(),
  /** Stored parts of the records, in order; absent if the records are in the message. */
  parts: z.array(part).optional(),
});
export type MessageHeader = z.infer<typeof header>;

export type Message = { readonly header: MessageHeader; readonly inline: string | undefined };

// With a checksum: what was damaged on the way is not taken for changes.
const level1 = { params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 } };
export const compress = (records: Uint8Array): Buffer => zstdCompressSync(records, level1);
export const decompress = (bytes: Uint8Array): Buffer => {
  try {
    return zstdDecompressSync(bytes);
  } catch (cause) {
    throw new PgtwinError(
      'message-malformed',
      { detail: 'The changes of a message do not decompress.' },
      { cause },
    );
  }
};

/** The body for the queue; `packed` are the compressed records, or undefined if the header names stored parts. */
export const formatMessage = (value: MessageHeader, packed: Buffer | undefined): string =>
  `${JSON.stringify(value)}\n${packed ? packed.toString('base64') : ''}`;

/** Reads a body from the queue. Throws `message-malformed`, or `message-version-unknown` for a newer format. */
export function parseMessage(body: string): Message {
  const end = body.indexOf('\n');
  let json: unknown;
  try {
    json = JSON.parse(end < 0 ? body : body.slice(0, end));
  } catch (cause) {
    throw new PgtwinError('message-malformed', { detail: 'The header of a message is not JSON.' }, { cause });
  }
  const version = (json as { v?: unknown } | null)?.v;
  if (typeof version === 'number' && version > FORMAT_VERSION)
    throw new PgtwinError('message-version-unknown', {
      detail: `Message version ${version} is newer than ${FORMAT_VERSION}.`,
    });
  const parsed = header.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new PgtwinError('message-malformed', {
      detail: `The header of a message is wrong at "${issue?.path.join('.')}": ${issue?.message}.`,
    });
  }
  return { header: parsed.data, inline: parsed.data.parts ? undefined : body.slice(end + 1) };
}

/** The records of a message that carries them itself. */
export const inlineRecords = (message: Message): Buffer =>
  decompress(Buffer.from(message.inline ?? '', 'base64'));

/** The order of everything that was ever sent for a task: generation, epoch, position. */
export const order = (h: { generation: number; epoch: number }, at: Position): string =>
  `${String(h.generation).padStart(10, '0')}.${String(h.epoch).padStart(10, '0')}.${at}`;
