import { capturedStates } from '../../../shared/task/machine.ts';
import type { Duty } from '../duty.ts';

/** Says how much waits in each task's queue, and in all dead-letter queues together: the alarm looks at the sum. */
export const backlog: Duty = {
  name: 'backlog',
  async run({ watched, delivery, prefix, emit, log }) {
    let allDead = 0;
    for (const { task } of watched) {
      if (!capturedStates.includes(task.state)) continue;
      const { waiting, dead } = await delivery.depth(task.id);
      allDead += dead;
      emit({
        dimensions: { Environment: prefix, Task: task.id },
        metrics: [
          { name: 'MessagesWaiting', unit: 'Count', value: waiting },
          { name: 'MessagesDead', unit: 'Count', value: dead },
        ],
      });
      if (dead > 0) log.error('messages are in the dead-letter queue', { task: task.id, messages: dead });
    }
    emit({
      dimensions: { Environment: prefix },
      metrics: [{ name: 'MessagesDead', unit: 'Count', value: allDead }],
    });
  },
};
