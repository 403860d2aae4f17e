import type { MessagePort } from 'node:worker_threads';
import type { SqsPort } from './event-source.ts';
import type { Action, Call, CallAnswer } from './queue-calls.ts';
import type { ReceivedMessage } from './sqs-event.ts';

type Body = { readonly QueueUrl?: string } & Readonly<Record<string, unknown>>;
type Pending = { resolve(result: unknown): void; reject(error: Error): void };

/** A message as the queue server gives it. */
type Given = {
  readonly MessageId: string;
  readonly ReceiptHandle: string;
  readonly Body: string;
  readonly MD5OfBody: string;
  readonly Attributes?: ReceivedMessage['attributes'];
  readonly MessageAttributes?: ReceivedMessage['messageAttributes'];
};

/**
 * The operations of an event source on queues of this process, without HTTP and the SDK: what a receive and a delete
 * take lies between one message and the next.
 */
export class QueueCalls {
  readonly #port: MessagePort;
  readonly #pending = new Map<number, Pending>();
  /** Receives that were given up and not yet answered, with their queue. */
  readonly #givenUp = new Map<number, string>();
  #calls = 0;

  constructor(port: MessagePort) {
    this.#port = port;
    port.on('message', (answer: CallAnswer) => this.#take(answer));
    port.on('close', () => {
      for (const { reject } of this.#pending.values()) reject(new Error('The queue server has ended.'));
      this.#pending.clear();
    });
    // The server's thread keeps the process running, its calls need not.
    port.unref();
  }

  /** URLs of the queues whose names begin so. */
  async list(prefix: string): Promise<readonly string[]> {
    const { QueueUrls } = (await this.#call('listQueues', { QueueNamePrefix: prefix })) as {
      readonly QueueUrls: readonly string[];
    };
    return QueueUrls;
  }

  open(queueUrl: string): SqsPort {
    const call = <Result>(action: Action, body: Body, signal?: AbortSignal): Promise<Result> =>
      this.#call(action, { QueueUrl: queueUrl, ...body }, signal) as Promise<Result>;
    return {
      async receive({ maxMessages, waitSeconds, visibilitySeconds, signal }) {
        const { Messages = [] } = await call<{ Messages?: readonly Given[] }>(
          'receiveMessage',
          {
            MaxNumberOfMessages: maxMessages,
            WaitTimeSeconds: waitSeconds,
            VisibilityTimeout: visibilitySeconds,
            MessageSystemAttributeNames: ['All'],
            MessageAttributeNames: ['All'],
          },
          signal,
        );
        return Messages.map((message) => ({
          messageId: message.MessageId,
          receiptHandle: message.ReceiptHandle,
          body: message.Body,
          md5OfBody: message.MD5OfBody,
          attributes: message.Attributes ?? {},
          messageAttributes: message.MessageAttributes ?? {},
        }));
      },
      async delete(handles) {
        const { Failed = [] } = await call<{ Failed?: readonly { Id: string }[] }>('deleteMessageBatch', {
          Entries: entries(handles),
        });
        return Failed.map(({ Id }) => handles[Number(Id)] ?? '');
      },
      async changeVisibility(handles, seconds) {
        await call('changeMessageVisibilityBatch', {
          Entries: entries(handles, { VisibilityTimeout: seconds }),
        });
      },
    };
  }

  #call(action: Action, body: Body, signal?: AbortSignal): Promise<unknown> {
    signal?.throwIfAborted();
    this.#calls += 1;
    const id = this.#calls;
    const cancel = () => {
      this.#port.postMessage({ id, cancel: true } satisfies Call);
      if (action === 'receiveMessage' && body.QueueUrl) this.#givenUp.set(id, body.QueueUrl);
      this.#pending.get(id)?.reject(signal?.reason);
      this.#pending.delete(id);
    };
    signal?.addEventListener('abort', cancel, { once: true });
    const answered = new Promise((resolve, reject) => this.#pending.set(id, { resolve, reject }));
    this.#port.postMessage({ id, action, body } satisfies Call);
    return answered.finally(() => signal?.removeEventListener('abort', cancel));
  }

  #take(answer: CallAnswer): void {
    const queue = this.#givenUp.get(answer.id);
    if (queue !== undefined) return this.#putBack(queue, answer);
    const pending = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    if ('result' in answer) pending?.resolve(answer.result);
    else pending?.reject(Object.assign(new Error(answer.error.message), { name: answer.error.name }));
  }

  /** What a receive had taken before it heard that it was given up would be hidden until its visibility time-out. */
  #putBack(QueueUrl: string, answer: CallAnswer): void {
    this.#givenUp.delete(answer.id);
    const { Messages = [] } = ('result' in answer ? answer.result : {}) as { Messages?: readonly Given[] };
    if (Messages.length === 0) return;
    const Entries = entries(
      Messages.map(({ ReceiptHandle }) => ReceiptHandle),
      { VisibilityTimeout: 0 },
    );
    // A queue that is gone has no messages to lose.
    this.#call('changeMessageVisibilityBatch', { QueueUrl, Entries }).catch(() => {});
  }
}

const entries = (handles: readonly string[], more = {}) =>
  handles.map((ReceiptHandle, n) => ({ Id: String(n), ReceiptHandle, ...more }));
