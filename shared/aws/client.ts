import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { PgtwinError } from '../errors/pgtwin-error.ts';
import type { ErrorCode } from '../errors/table.ts';

/** Where AWS is and who we are; what is left out comes from the SDK's standard environment (`AWS_*`). */
export type ClientSettings = {
  readonly endpoint?: string;
  readonly region?: string;
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
};

const CONNECT_MS = 2_000;
const REQUEST_MS = 30_000;
const ATTEMPTS = 5;
/** One client carries one kind of work; more sockets than this only queue up in the service. */
const SOCKETS = 64;

/**
 * Constructor options of every AWS client: connections are kept, nothing waits for ever, and what is safe to repeat
 * (all our calls are) is repeated by the SDK with back-off and jitter.
 */
export function clientOptions(settings: ClientSettings = {}) {
  const agent = { keepAlive: true, maxSockets: SOCKETS };
  return {
    ...settings,
    maxAttempts: ATTEMPTS,
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      requestTimeout: REQUEST_MS,
      throwOnRequestTimeout: true,
      httpAgent: new HttpAgent(agent),
      httpsAgent: new HttpsAgent(agent),
    },
  };
}

/** The name of an AWS error, such as `ConditionalCheckFailedException`. */
export const awsErrorName = (error: unknown): string => (error instanceof Error ? error.name : String(error));

/** An AWS error in our words; its own message stays in the cause, for the log only. */
export function awsFailure(code: ErrorCode, doing: string, error: unknown): PgtwinError {
  // The SDK hangs the whole HTTP exchange on its errors, the signed headers of the request included.
  if (error instanceof Error) Reflect.deleteProperty(error, '$response');
  const awsError = awsErrorName(error);
  return new PgtwinError(code, { detail: `${doing} failed: ${awsError}.`, awsError }, { cause: error });
}
