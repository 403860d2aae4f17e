/** List prices in us-east-1, in US dollars. */
const price = {
  sqsFifoRequest: 0.5 / 1e6,
  lambdaGigabyteSecond: 0.0000166667,
  lambdaInvocation: 0.2 / 1e6,
  dynamoWrite: 0.625 / 1e6,
} as const;
/** SQS counts each started 64 KB of a call as a request. */
const SQS_CHUNK = 64 * 1024;
const LAMBDA_GIGABYTES = 1;
const MESSAGES_PER_RECEIVE = 10;
/** The checkpoint is written once a second at most, the lease every few. */
const WRITES_PER_SECOND = 1.3;

/** What was counted while a backlog went through. */
export type Counted = {
  /** Length of each message. */
  readonly messageBytes: readonly number[];
  readonly applySeconds: number;
  readonly captureSeconds: number;
  readonly transactions: number;
  /** Of pgoutput, before compression. */
  readonly changeBytes: number;
};

/** Dollars for a GB of change and for a million transactions, without the capture's container, which costs by the hour. */
export function awsCost(of: Counted): { perGigabyte: number; perMillionTransactions: number } {
  const carried = of.messageBytes.reduce((sum, bytes) => sum + Math.ceil(bytes / SQS_CHUNK), 0);
  const invocations = Math.ceil(of.messageBytes.length / MESSAGES_PER_RECEIVE);
  // Sent and received by their size, deleted ten at a time.
  const requests = 2 * carried + invocations;
  const dollars =
    requests * price.sqsFifoRequest +
    invocations * price.lambdaInvocation +
    of.applySeconds * LAMBDA_GIGABYTES * price.lambdaGigabyteSecond +
    Math.ceil(of.captureSeconds * WRITES_PER_SECOND) * price.dynamoWrite;
  return {
    perGigabyte: Number(((dollars / of.changeBytes) * 1e9).toPrecision(3)),
    perMillionTransactions: Number(((dollars / of.transactions) * 1e6).toPrecision(3)),
  };
}
