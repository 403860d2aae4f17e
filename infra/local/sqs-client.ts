import { SQSClient } from '@aws-sdk/client-sqs';

export type LocalSqsOptions = {
  /** Of the queue server or of LocalStack; default: AWS. */
  readonly endpoint?: string;
  readonly region?: string;
};

/** An SQS client for a local endpoint, which takes any credentials. */
export const localSqsClient = ({ endpoint, region = 'us-east-1' }: LocalSqsOptions): SQSClient =>
  new SQSClient({
    region,
    ...(endpoint ? { endpoint, credentials: { accessKeyId: 'local', secretAccessKey: 'local' } } : {}),
    // The loopback interface does not change bytes, and a digest of 1 MB costs more than the request.
    md5: false,
  });
