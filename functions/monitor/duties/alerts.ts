import { randomUUID } from 'node:crypto';
import { capturedStates } from '../../../shared/task/machine.ts';
import type { Item } from '../../../shared/task/table.ts';
import { type Alert, sendToTopic, sendToWebhook } from '../alerts/deliver.ts';
import {
  type AlertState,
  type AlertTarget,
  alertState,
  type Conditions,
  dueOf,
  hopeless,
  looked,
  type Notice,
  noAlerts,
  told,
  tried,
} from '../alerts/state.ts';
import type { Duty, Round, Watched } from '../duty.ts';
import { metricsOf } from './latency.ts';

/** A latency is over when it is well below its threshold: on the edge it would be told again and again. */
const RECOVERED_AT = 0.8;

/**
 * Tells of tasks that failed or are late, once, and once when that is over. Receivers that do not answer are tried
 * again with growing pauses, all at once and with a time-out, so that they hold up nothing.
 */
export const alerts: Duty = {
  name: 'alerts',
  async run(round) {
    const results = await Promise.allSettled(round.watched.map((each) => alertsOf(round, each)));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  },
};

type Stored = { readonly state: AlertState; readonly version: number };

async function alertsOf(round: Round, watched: Watched): Promise<void> {
  const { task, config } = watched;
  if (!config) return;
  const { table } = round.repository;
  const item = await table.get(task.id, 'alerts');
  const before: Stored = item
    ? { state: alertState.parse(item.body), version: item.version }
    : { state: noAlerts, version: 0 };
  const conditions = await conditionsOf(round, watched, before.state);
  let state = looked(before.state, conditions, targetsOf(round, watched), {
    now: round.now,
    newId: randomUUID,
  });
  for (const { id, target, kind } of hopeless(state, round.now)) {
    round.log.error('alert given up', { task: task.id, target, kind });
    state = told(state, id);
  }
  const due = dueOf(state, round.now);
  for (const { id } of due) state = tried(state, id, round.now);
  if (JSON.stringify(state) === JSON.stringify(before.state)) return;
  // Before anything is sent: of two monitors only one stores this, and if it dies, the notice is tried again later.
  const version = before.version + 1;
  const put = (value: AlertState, next: number): Item => ({
    ...{ pk: task.id, sk: 'alerts', version: next },
    body: value,
  });
  if (!(await table.put(put(state, version), item ? before.version : 'absent'))) return;
  const outcomes = await Promise.all(due.map((notice) => send(round, watched, notice)));
  for (const [n, sent] of outcomes.entries()) if (sent) state = told(state, due[n]!.id);
  if (outcomes.includes(true)) await table.put(put(state, version + 1), version);
}

async function conditionsOf(round: Round, { task, config }: Watched, state: AlertState): Promise<Conditions> {
  const { failure, latencySeconds: threshold } = config!.alerts;
  const { code, detail, advice } = task.error ?? {};
  const failed = task.state === 'Failed';
  const about = failed && code ? { error: { code, detail, advice } } : {};
  const conditions: Conditions = { failure: { there: failed && failure, facts: about } };
  // A failed task is late as well; it is over when it runs again.
  if (failed) return conditions;
  if (threshold === null || !capturedStates.includes(task.state))
    return { ...conditions, latency: { there: false, facts: {} } };
  const status = await round.repository.getStatus(task.id);
  const latency = status && metricsOf(status, round.now).find(({ name }) => name === 'LatencySeconds')?.value;
  if (latency === undefined) return conditions;
  const least = state.open.latency ? threshold * RECOVERED_AT : threshold;
  const facts = { latencySeconds: Math.round(latency * 10) / 10, thresholdSeconds: threshold };
  return { ...conditions, latency: { there: latency > least, facts } };
}

function targetsOf({ senders }: Round, { config }: Watched): AlertTarget[] {
  const { topicArn, webhook } = config!.alerts;
  return [
    ...((topicArn ?? senders.defaultTopic) ? (['topic'] as const) : []),
    ...(webhook ? (['webhook'] as const) : []),
  ];
}

const texts: Record<Notice['kind'], Record<Notice['event'], string>> = {
  failure: { raised: 'is Failed', recovered: 'is not Failed any more' },
  latency: { raised: 'is late', recovered: 'is in time again' },
};

/** False: to be tried again later. A target that is not configured any more needs nothing. */
async function send(round: Round, { task, pair, config }: Watched, notice: Notice): Promise<boolean> {
  const { id, event, kind, at, facts } = notice;
  const alert: Alert = {
    ...{ id, event, kind, at, environment: round.prefix, facts },
    text: `${pair.name} (${pair.id}), ${task.direction}: ${texts[kind][event]}`,
    pair: { id: pair.id, name: pair.name },
    task: { id: task.id, direction: task.direction, state: task.state },
  };
  const { topicArn = round.senders.defaultTopic, webhook } = config!.alerts;
  try {
    if (notice.target === 'topic' && topicArn) await sendToTopic(round.senders, topicArn, alert);
    if (notice.target === 'webhook' && webhook) await sendToWebhook(round.senders, webhook, alert, round.now);
    round.log.info('alert sent', { task: task.id, kind, event, target: notice.target });
    return true;
  } catch (error) {
    round.log.warn('alert not taken, will be tried again', {
      ...{ task: task.id, kind, event, target: notice.target, attempts: notice.attempts + 1 },
      reason: error instanceof Error ? error.message : String(error),
    });
    return false;
  }
}
