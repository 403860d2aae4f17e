import { createHmac } from 'node:crypto';
import type { Webhook } from '../../../shared/task/alert-config.ts';
import type { SecretStore } from '../../../shared/task/ports.ts';

/** What a receiver gets, as JSON. */
export type Alert = {
  readonly id: string;
  readonly event: 'raised' | 'recovered';
  readonly kind: string;
  readonly at: string;
  readonly text: string;
  readonly environment: string;
  readonly pair: { readonly id: string; readonly name: string };
  readonly task: { readonly id: string; readonly direction: string; readonly state: string };
  readonly facts: Readonly<Record<string, unknown>>;
};

/** Publishes to an SNS topic; shared/aws/topic.ts fits. */
export interface Topics {
  publish(arn: string, subject: string, message: string, attributes: Record<string, string>): Promise<void>;
}

export type AlertSenders = {
  readonly topics: Topics;
  readonly secrets: Pick<SecretStore, 'get'>;
  /** The topic of tasks that name none. */
  readonly defaultTopic: string | undefined;
  readonly fetch?: typeof fetch;
  /** How long a receiver may take. Default 5 s. */
  readonly timeoutMs?: number;
};

export const sendToTopic = ({ topics }: AlertSenders, arn: string, alert: Alert): Promise<void> =>
  topics.publish(arn, `pgtwin: ${alert.text}`.slice(0, 99), JSON.stringify(alert, null, 2), {
    event: alert.event,
    kind: alert.kind,
  });

/**
 * Signature of a webhook's body: HMAC-SHA-256 over `<timestamp>.<body>` under the webhook's secret. The receiver
 * computes it again, and refuses old timestamps: then a recorded request is worth nothing.
 */
export const signatureOf = (secret: string, timestamp: string, body: string): string =>
  `v1=${createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')}`;

/** Throws unless the receiver answers 2xx in time. */
export async function sendToWebhook(
  { secrets, fetch: post = fetch, timeoutMs = 5_000 }: AlertSenders,
  { url, secret }: Webhook,
  alert: Alert,
  now: Date,
): Promise<void> {
  const body = JSON.stringify(alert);
  const timestamp = String(Math.floor(now.getTime() / 1000));
  const response = await post(url, {
    method: 'POST',
    body,
    headers: {
      'content-type': 'application/json',
      'pgtwin-alert-id': alert.id,
      'pgtwin-timestamp': timestamp,
      'pgtwin-signature': signatureOf(await secrets.get(secret), timestamp, body),
    },
    redirect: 'error',
    signal: AbortSignal.timeout(timeoutMs),
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`the receiver answered ${response.status}`);
}
