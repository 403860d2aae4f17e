import { capturedStates } from '../../../shared/task/machine.ts';
import type { TaskStatus } from '../../../shared/task/schema.ts';
import type { Duty } from '../duty.ts';
import type { Metric } from '../metrics.ts';

/** A capture writes the figures every few seconds: older than this, nobody captures. */
const STALE_SECONDS = 30;

/** Turns the figures that captures wrote into metrics: one set per task, and the worst latency, for the alarm. */
export const latency: Duty = {
  name: 'latency',
  async run({ watched, repository, prefix, now, emit }) {
    let worst: Metric | undefined;
    for (const { task, pair } of watched) {
      if (!capturedStates.includes(task.state)) continue;
      const status = await repository.getStatus(task.id);
      if (!status) continue;
      const metrics = metricsOf(status, now);
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
      const latencyOfTask = metrics.find(({ name }) => name === 'LatencySeconds');
      if (latencyOfTask && latencyOfTask.value >= (worst?.value ?? 0)) worst = latencyOfTask;
    }
    if (worst) emit({ dimensions: { Environment: prefix }, metrics: [worst] });
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
    ...maybe('WalRetainedBytes', 'Bytes', status.walRetainedBytes),
  ];
}

const maybe = (name: string, unit: Metric['unit'], value: number | null): Metric[] =>
  value === null ? [] : [{ name, unit, value }];
