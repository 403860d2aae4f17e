import { addToHistory } from '../../../shared/task/history.ts';
import { capturedStates } from '../../../shared/task/machine.ts';
import type { Duty } from '../duty.ts';
import { metricsOf } from './latency.ts';

/** Keeps a day of each task's figures by the minute, for whoever comes later. */
export const history: Duty = {
  name: 'history',
  async run({ watched, repository, now }) {
    for (const { task } of watched) {
      if (!capturedStates.includes(task.state)) continue;
      const status = await repository.getStatus(task.id);
      if (!status) continue;
      const figures = new Map(metricsOf(status, now).map(({ name, value }) => [name, value]));
      await addToHistory(repository.table, task.id, now, {
        latencySeconds: figures.get('LatencySeconds') ?? null,
        rowsPerSecond: figures.get('RowsPerSecond') ?? 0,
        bytesPerSecond: figures.get('BytesPerSecond') ?? 0,
      });
    }
  },
};
