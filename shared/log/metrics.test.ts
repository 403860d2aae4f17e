import { expect, test } from 'vitest';
import { TaskCounters } from './metrics.ts';

test('counts of a minute become one line a task, in embedded metric format', () => {
  let now = new Date('2026-01-01T00:00:00Z');
  const lines: string[] = [];
  const counters = new TaskCounters({
    ...{ environment: 'twin', now: () => now },
    write: (line) => void lines.push(line),
  });
  counters.add('one_f', { RowsWritten: 3, TransactionsWritten: 1 });
  counters.add('two_f', { Retries: 1 });
  counters.add('one_f', { RowsWritten: 4 });
  expect(lines).toEqual([]);
  now = new Date('2026-01-01T00:01:00Z');
  counters.add('one_f', { ApplySeconds: 0.5 });
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    {
      _aws: {
        Timestamp: now.getTime(),
        CloudWatchMetrics: [
          {
            Namespace: 'pgtwin',
            Dimensions: [['Environment', 'Task']],
            Metrics: [
              { Name: 'RowsWritten', Unit: 'Count' },
              { Name: 'TransactionsWritten', Unit: 'Count' },
              { Name: 'ApplySeconds', Unit: 'Seconds' },
            ],
          },
        ],
      },
      ...{ Environment: 'twin', Task: 'one_f', RowsWritten: 7, TransactionsWritten: 1, ApplySeconds: 0.5 },
    },
    expect.objectContaining({ Task: 'two_f', Retries: 1 }),
  ]);
  counters.flush();
  expect(lines).toHaveLength(2);
});
