import type { Target } from '../postgres/connect.ts';
import type { Endpoint } from './schema.ts';

/** One message to a FIFO queue. `deduplication` is at most 128 characters. */
export type OutgoingMessage = {
  readonly body: string;
  readonly group: string;
  readonly deduplication: string;
};

/** The stream's queue as capture sees it: in order, one call in flight per group. Throws `queue-unavailable`. */
export interface Queue {
  send(url: string, message: OutgoingMessage): Promise<void>;
}

/** Work for stateless functions without an order (copy chunks). */
export interface WorkQueue {
  sendWork(url: string, bodies: readonly string[]): Promise<void>;
}

/** The parts of large transactions. Throws `blob-unavailable`, and `claim-check-missing` for a part that is gone. */
export interface BlobStore {
  put(key: string, body: Uint8Array): Promise<void>;
  get(key: string): Promise<Uint8Array>;
  /** Removes everything below a prefix. */
  removeAll(prefix: string): Promise<void>;
}

/** Where passwords are kept. `put` gives back the reference that an endpoint stores. */
export interface SecretStore {
  get(reference: string): Promise<string>;
  put(name: string, password: string): Promise<string>;
  remove(reference: string): Promise<void>;
  /** Makes the next `get` read again: after `login-failed`, the password may have been changed. */
  forget?(reference: string): void;
}

/** Queue, dead-letter queue and event source mapping of one task. All idempotent. */
export interface Delivery {
  /** Makes what is missing and gives the URL of the task's FIFO queue. */
  ensure(taskId: string): Promise<{ queueUrl: string }>;
  remove(taskId: string): Promise<void>;
  /** Messages in the queue and in its dead-letter queue, approximately. */
  depth(taskId: string): Promise<{ waiting: number; dead: number }>;
}

/** A clock and chance, passed in so that tests can set them. */
export interface Clock {
  now(): Date;
  /** Waits; returns early when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  random(): number;
}

/** The connection target of an endpoint, with the password from its secret (plain, or JSON with `password`). */
export async function targetOf(endpoint: Endpoint, secrets: Pick<SecretStore, 'get'>): Promise<Target> {
  const text = await secrets.get(endpoint.secret);
  const { host, port, database, user, tls } = endpoint;
  return { host, port, database, user, tls, password: passwordIn(text) };
}

function passwordIn(text: string): string {
  if (!text.startsWith('{')) return text;
  try {
    const parsed = JSON.parse(text) as { password?: unknown };
    return typeof parsed.password === 'string' ? parsed.password : text;
  } catch {
    return text;
  }
}
