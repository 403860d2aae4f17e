import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { openBlobStore } from '../../shared/aws/blob.ts';
import { openVisibility } from '../../shared/aws/queue.ts';
import { openSecretStore } from '../../shared/aws/secret.ts';
import { openTable } from '../../shared/aws/table.ts';
import { systemClock } from '../../shared/config/clock.ts';
import { readEnvironment } from '../../shared/config/env.ts';
import { openLog } from '../../shared/log/log.ts';
import { TaskCounters } from '../../shared/log/metrics.ts';
import { Repository } from '../../shared/task/repository.ts';
import { Apply } from './apply.ts';

let opened: Apply | undefined;

function open(): Apply {
  const environment = readEnvironment();
  return new Apply({
    repository: new Repository(openTable(environment.PGTWIN_TABLE)),
    secrets: openSecretStore(environment.PGTWIN_SECRETS),
    blobs: openBlobStore(environment.PGTWIN_BUCKET),
    clock: systemClock,
    log: openLog({ levels: environment.PGTWIN_LOG, area: 'apply' }),
    delay: openVisibility(),
    counters: new TaskCounters({ environment: environment.PGTWIN_PREFIX }),
  });
}

/** Lambda's entry: messages of the tasks' FIFO queues. Connections live as long as the process. */
export async function handler(event: SQSEvent): Promise<SQSBatchResponse> {
  opened ??= open();
  return opened.handle(event);
}
