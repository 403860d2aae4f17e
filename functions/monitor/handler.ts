import type { Context } from 'aws-lambda';
import { openDelivery } from '../../shared/aws/delivery.ts';
import { openSecretStore } from '../../shared/aws/secret.ts';
import { openTable } from '../../shared/aws/table.ts';
import { openTopics } from '../../shared/aws/topic.ts';
import { readEnvironment } from '../../shared/config/env.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { openLog } from '../../shared/log/log.ts';
import { type Measured, metricLine } from '../../shared/log/metrics.ts';
import { Repository } from '../../shared/task/repository.ts';
import { duties, runRound } from './round.ts';

/** Long work ends in time for the next minute's round to take it up. */
const WORK_MS = 50_000;
/** What is under way at the end of the work's time may take that long. */
const SLACK_MS = 5_000;

/** Not the whole round: only these duties, by name. */
export type MonitorEvent = { readonly duties?: readonly string[] };

let opened: ReturnType<typeof open> | undefined;

function open() {
  const environment = readEnvironment();
  return {
    prefix: environment.PGTWIN_PREFIX,
    repository: new Repository(openTable(environment.PGTWIN_TABLE)),
    delivery: openDelivery({ prefix: environment.PGTWIN_PREFIX }),
    senders: {
      topics: openTopics(),
      secrets: openSecretStore(environment.PGTWIN_SECRETS),
      defaultTopic: environment.PGTWIN_ALERT_TOPIC,
    },
    log: openLog({ levels: environment.PGTWIN_LOG, area: 'monitor' }),
  };
}

/** Lambda's entry: once a minute. Fails, for the alarm on errors, if a duty failed. */
export async function handler(
  event?: MonitorEvent,
  context?: Pick<Context, 'getRemainingTimeInMillis'>,
): Promise<void> {
  opened ??= open();
  const now = new Date();
  const remainingMs = (context?.getRemainingTimeInMillis() ?? WORK_MS) - SLACK_MS;
  const round = {
    ...opened,
    now,
    workUntil: now.getTime() + Math.min(WORK_MS, remainingMs),
    // Not by console.log, before whose text Lambda writes a time and an id: then it is JSON no more.
    emit: (measured: Measured) => process.stdout.write(`${metricLine(measured, now)}\n`),
  };
  const wanted = event?.duties;
  const failed = await runRound(round, wanted ? duties.filter(({ name }) => wanted.includes(name)) : duties);
  if (failed.length > 0)
    throw new PgtwinError('function-failed', { detail: `Duties failed: ${failed.join(', ')}.` });
}
