import { openDelivery } from '../../shared/aws/delivery.ts';
import { openSecretStore } from '../../shared/aws/secret.ts';
import { openTable } from '../../shared/aws/table.ts';
import { openTopics } from '../../shared/aws/topic.ts';
import { readEnvironment } from '../../shared/config/env.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { openLog } from '../../shared/log/log.ts';
import { metricLine } from '../../shared/log/metrics.ts';
import { Repository } from '../../shared/task/repository.ts';
import { runRound } from './round.ts';

/** Lambda's entry: once a minute. Fails, for the alarm on errors, if a duty failed. */
export async function handler(): Promise<void> {
  const environment = readEnvironment();
  const now = new Date();
  const failed = await runRound({
    now,
    prefix: environment.PGTWIN_PREFIX,
    repository: new Repository(openTable(environment.PGTWIN_TABLE)),
    delivery: openDelivery({ prefix: environment.PGTWIN_PREFIX }),
    senders: {
      topics: openTopics(),
      secrets: openSecretStore(environment.PGTWIN_SECRETS),
      defaultTopic: environment.PGTWIN_ALERT_TOPIC,
    },
    log: openLog({ levels: environment.PGTWIN_LOG, area: 'monitor' }),
    // Not by console.log, before whose text Lambda writes a time and an id: then it is JSON no more.
    emit: (measured) => process.stdout.write(`${metricLine(measured, now)}\n`),
  });
  if (failed.length > 0)
    throw new PgtwinError('function-failed', { detail: `Duties failed: ${failed.join(', ')}.` });
}
