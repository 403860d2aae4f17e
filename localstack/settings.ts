/** The last LocalStack that needs no account token, in Docker and on the host alike. */
export const localStackVersion = '4.9.2';

/** What pgtwin and its tests use; other services refuse instead of loading. */
const services =
  'sqs,sns,dynamodb,lambda,iam,sts,logs,cloudwatch,events,scheduler,s3,ssm,secretsmanager,cloudformation';

/** Settings that hold however LocalStack runs; `listen` is `host:port`, the port the same inside and outside. */
export const commonEnvironment = (listen: string): Record<string, string> => ({
  GATEWAY_LISTEN: listen,
  SERVICES: services,
  STRICT_SERVICE_LOADING: '1',
  DISABLE_EVENTS: '1',
  DYNAMODB_IN_MEMORY: '1',
  // A queue's address with the host of the gateway instead of a host name per region, which may not resolve.
  SQS_ENDPOINT_STRATEGY: 'path',
  // Creating or updating a function answers when it is ready.
  LAMBDA_SYNCHRONOUS_CREATE: '1',
  LAMBDA_RUNTIME_ENVIRONMENT_TIMEOUT: '120',
  // The event source mapping polls at once, as AWS's: its default waits a second between batches. An idle mapping
  // still costs two polls a second, of the 300 that LocalStack bears.
  LAMBDA_EVENT_SOURCE_MAPPING_POLL_INTERVAL_SEC: '0.005',
  LAMBDA_EVENT_SOURCE_MAPPING_MAX_BACKOFF_ON_EMPTY_POLL_SEC: '0.5',
});

/** A LocalStack that this process started. */
export type LocalStack = {
  readonly kind: 'docker' | 'host';
  /** `http://127.0.0.1:<port>`: an address, so that S3 clients use paths instead of host names per bucket. */
  readonly endpoint: string;
  readonly port: number;
  /** LocalStack's own log; in Docker it is written at the end. */
  readonly logFile: string;
  /** The name by which Lambda functions reach servers (databases) of this machine. */
  readonly hostSeenByFunctions: string;
  /** Ends when LocalStack does, whoever stopped it. */
  readonly untilEnded: () => Promise<void>;
  /** Stops LocalStack and every process or container below it; safe to call twice. */
  readonly stop: () => Promise<void>;
};

export type StartOptions = {
  /** A free one if left out. */
  readonly port?: number;
  /** Docker where an engine answers, if left out. */
  readonly kind?: 'docker' | 'host';
  /** More variables for LocalStack itself. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Told in one line what is about to be done. */
  readonly report?: (line: string) => void;
};
