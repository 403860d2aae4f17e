import { openBlobStore } from '../../shared/aws/blob.ts';
import { openDelivery } from '../../shared/aws/delivery.ts';
import { openQueue } from '../../shared/aws/queue.ts';
import { openSecretStore } from '../../shared/aws/secret.ts';
import { openTable } from '../../shared/aws/table.ts';
import { systemClock } from '../../shared/config/clock.ts';
import { readEnvironment } from '../../shared/config/env.ts';
import { asPgtwinError, PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { openLog } from '../../shared/log/log.ts';
import { TaskCounters } from '../../shared/log/metrics.ts';
import { Repository } from '../../shared/task/repository.ts';
import { runCapture } from './capture.ts';

/** The capture container's entry: runs until SIGTERM or SIGINT, then gives its leases back. */
async function main(): Promise<void> {
  const environment = readEnvironment();
  const { PGTWIN_COPY_QUEUE_URL: copyQueueUrl, PGTWIN_LEASE_MS: ttlMs } = environment;
  if (!copyQueueUrl)
    throw new PgtwinError('environment-invalid', {
      detail: 'PGTWIN_COPY_QUEUE_URL: the capture needs the queue of the copy.',
    });
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
  await runCapture(
    {
      repository: new Repository(openTable(environment.PGTWIN_TABLE)),
      secrets: openSecretStore(environment.PGTWIN_SECRETS),
      queue: openQueue(),
      blobs: openBlobStore(environment.PGTWIN_BUCKET),
      delivery: openDelivery({
        prefix: environment.PGTWIN_PREFIX,
        applyFunction: environment.PGTWIN_APPLY_FUNCTION,
      }),
      copyQueueUrl,
      clock: systemClock,
      log: openLog({ levels: environment.PGTWIN_LOG, area: 'capture' }),
      counters: new TaskCounters({ environment: environment.PGTWIN_PREFIX }),
      pool: environment.PGTWIN_POOL,
      pollMs: environment.PGTWIN_POLL_MS,
      lease: { ttlMs, renewMs: Math.floor(ttlMs / 3) },
    },
    stop.signal,
  );
}

main().then(
  () => process.exit(0),
  (thrown: unknown) => {
    const error = asPgtwinError(thrown);
    process.stderr.write(`${error.message} ${error.rule.advice}\n`);
    process.exit(1);
  },
);
