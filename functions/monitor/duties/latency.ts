import type { Metric } from '../../../shared/log/metrics.ts';
import { capturedStates } from '../../../shared/task/machine.ts';
import type { TaskState, TaskStatus } from '../../../shared/task/schema.ts';
import type { Duty } from '../duty.ts';

/** A capture writes the figures every few seconds: older than this, nobody captures. */
const STALE_SECONDS = 30;

/** Nobody captures these, but their slots keep WAL. */
const keepsWal: readonly TaskState[] = ['Paused', 'Failed'];
const alarming = ['LatencySeconds', 'WalRetainedBytes'];

/** Turns the figures that captures wrote into metrics: one set per task, and the worst of all, for the alarms. */
export const latency: Duty = {
  name: 'latency',
  async run({ watched, repository, prefix, now, emit }) {
    const worst = new Map<string, Metric>();
    for (const { task, pair } of watched) {
      const captured = capturedStates.includes(task.state);
      if (!captured && !keepsWal.includes(task.state)) continue;
      const status = await repository.getStatus(task.id);
      if (!status) continue;
      const metrics = metricsOf(status, now).filter(({ name }) => captured || name === 'WalRetainedBytes');
      if (metrics.length === 0) continue;
      emit({
        dimensions: { Environment: prefix, Task: task.id },
        metrics,
        facts: { pair: pair.id, direction: task.direction, state: task.state },
      });
      for (const [kind, value] of Object.entries(status.conflictsByKind))
        emit({
          dimensions: { Environment: prefix, Task: task.id, Kind: kind },
          metrics: [{ name: 'ConflictsOfKind', unit: 'Count', value }],
        });
      for (const metric of metrics)
        if (alarming.includes(metric.name) && metric.value >= (worst.get(metric.name)?.value ?? 0))
          worst.set(metric.name, metric);
    }
    if (worst.size > 0) emit({ dimensions: { Environment: prefix }, metrics: [...worst.values()] });
  },
};

/** Latency goes on growing while nobody writes figures: a dead capture is late, not quiet. */
export function metricsOf(status: TaskStatus, now: Date): Metric[] {
  const ageSeconds = Math.max(0, (now.getTime() - Date.parse(status.at)) / 1000);
  const stale = ageSeconds > STALE_SECONDS;
  const latencySeconds = stale ? (status.latencySeconds ?? 0) + ageSeconds : status.latencySeconds;
  return [
    ...maybe('LatencySeconds', 'Seconds', latencySeconds),
    { name: 'StatusAgeSeconds', unit: 'Seconds', value: ageSeconds },
    { name: 'RowsPerSecond', unit: 'Count/Second', value: stale ? 0 : status.rowsPerSecond },
    { name: 'BytesPerSecond', unit: 'Bytes/Second', value: stale ? 0 : status.bytesPerSecond },
    { name: 'RowsApplied', unit: 'Count', value: status.rowsApplied },
    { name: 'TransactionsApplied', unit: 'Count', value: status.transactionsApplied },
    { name: 'Conflicts', unit: 'Count', value: status.conflicts },
    { name: 'RetriesSoFar', unit: 'Count', value: status.retries ?? 0 },
    ...maybe('WalRetainedBytes', 'Bytes', status.walRetainedBytes),
  ];
}

const maybe = (name: string, unit: Metric['unit'], value: number | null): Metric[] =>
  value === null ? [] : [{ name, unit, value }];
