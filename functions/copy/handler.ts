import type { Context, SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { openSecretStore } from '../../shared/aws/secret.ts';
import { openTable } from '../../shared/aws/table.ts';
import { readEnvironment } from '../../shared/config/env.ts';
import { openLog } from '../../shared/log/log.ts';
import { Repository } from '../../shared/task/repository.ts';
import { runWork } from './run-work.ts';

let opened: ReturnType<typeof open> | undefined;

function open() {
  const environment = readEnvironment();
  return {
    repository: new Repository(openTable(environment.PGTWIN_TABLE)),
    secrets: openSecretStore(environment.PGTWIN_SECRETS),
    log: openLog({ levels: environment.PGTWIN_LOG, area: 'copy' }),
  };
}

/** Lambda's entry: messages of the copy queue (standard), in any order, delivered at least once. */
export async function handler(event: SQSEvent, context: Context): Promise<SQSBatchResponse> {
  opened ??= open();
  const records = event.Records.map(({ messageId, body, attributes }) => ({
    id: messageId,
    body,
    receives: Number(attributes.ApproximateReceiveCount),
  }));
  const again = await runWork(records, {
    ...opened,
    remainingMs: () => context.getRemainingTimeInMillis(),
  });
  return { batchItemFailures: again.map((itemIdentifier) => ({ itemIdentifier })) };
}
