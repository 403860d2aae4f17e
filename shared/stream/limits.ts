/**
 * Limits of messages. SQS takes 1 MiB of XML characters per message and per batch: about 780 KB of binary after
 * base64. Rows compress about 12 times with zstd level 1, so a full message carries some MB of changes.
 */
export const limits = {
  /** A message is sealed when this many bytes of changes are in it, even with more waiting. */
  sealBytes: 4 * 1024 * 1024,
  /** Larger than this after compression: the body goes to the blob store and the message names it. */
  inlineBytes: 700 * 1024,
  /** A transaction larger than this is cut into parts that are stored while it streams. */
  partBytes: 8 * 1024 * 1024,
  /** Buffers of all transactions in progress together: above it the largest is stored, whatever it holds. */
  inProgressBytes: 64 * 1024 * 1024,
  /** One change may not be larger (PostgreSQL's own limit for a value is 1 GB). */
  changeBytes: 256 * 1024 * 1024,
  /** Sealed messages that wait for the queue before the replication socket is paused. */
  outboxMessages: 4,
} as const;
