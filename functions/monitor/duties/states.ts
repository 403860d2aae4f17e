import { taskStates } from '../../../shared/task/schema.ts';
import type { Duty } from '../duty.ts';

/** Says how many tasks are in each state, and names each failed one: what the failure alarm looks at. */
export const states: Duty = {
  name: 'states',
  async run({ watched, prefix, emit, log }) {
    const metrics = taskStates.map((state) => ({
      name: `Tasks${state}`,
      unit: 'Count' as const,
      value: watched.filter(({ task }) => task.state === state).length,
    }));
    emit({ dimensions: { Environment: prefix }, metrics });
    for (const { task } of watched) {
      if (task.state !== 'Failed') continue;
      const { code, detail, advice } = task.error ?? {};
      log.error('task is failed', { task: task.id, pair: task.pairId, code, detail, advice });
    }
  },
};
