import { wordsOfName } from '../words.ts';

/** What fields of the configuration are called; others by their own name. */
const labels: Readonly<Record<string, string>> = {
  types: 'What is synchronized',
  'types.schema': 'Schema',
  'types.full': 'Rows that are there (full)',
  'types.incremental': 'Changes from now on (incremental)',
  operations: 'Which changes',
  'operations.insert': 'INSERT',
  'operations.update': 'UPDATE',
  'operations.delete': 'DELETE',
  'operations.truncate': 'TRUNCATE',
  excludeDdl: 'Leave DDL out',
  conflictingTables: 'Tables that the destination has already',
  onDeleted: 'An update meets a deleted row',
  missingParent: 'A row has lost its parent',
  decide: 'Who decides',
  catchUpPolicy: 'Policy while catching up',
  'resolver.source': 'Module',
  tablePolicies: 'Policies of single tables',
  failedSlotHours: 'Keep the slot of a failed task (hours)',
  walRetention: 'WAL is kept',
  limits: 'Load on the source',
  'limits.full': 'Full copy',
  'limits.incremental': 'Changes',
  full: 'Full copy',
  incremental: 'Changes',
  alerts: 'Alerts',
  'alerts.failure': 'Tell when the task has failed',
  'alerts.latencySeconds': 'Tell at a latency above (seconds)',
  'alerts.topicArn': 'SNS topic',
  'objects.columns': 'Columns',
  'objects.mapping': 'Names on the destination',
  'objects.operations': 'Operations of single tables',
  'objects.filters': 'Conditions of rows',
  'objects.etl': 'Steps in flight',
  retryConnectionMinutes: 'Retry connections for (minutes)',
  retryOtherMinutes: 'Retry other errors for (minutes)',
  copyParallelism: 'Chunks copied at once',
  chunkRows: 'Rows of a chunk',
  synchronousCommit: 'Synchronous commit at the destination',
};

/** The label of a field at a path; numbers of entries do not count. */
export function labelOf(path: string, name: string): string {
  const plain = path
    .split('.')
    .filter((part) => !/^\d+$/.test(part))
    .join('.');
  return labels[plain] ?? wordsOfName(name);
}

/** The API's own words for a field, as a sentence. */
export const sentenceOf = (text: string): string => {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
};
