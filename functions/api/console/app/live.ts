import type { PairView, TaskView } from '../../../../shared/client/contract.ts';
import { announce } from './announce.ts';
import { type Loaded, usePoll } from './load.ts';
import { directions, nameOfTask, wordsOfState } from './words.ts';

/** One look at a task's figures; times in seconds since 1970, as the plots want them. */
export type Sample = {
  readonly at: number;
  readonly latencySeconds: number | null;
  readonly rowsPerSecond: number;
};

const EVERY_MS = 1_000;
/** Ten minutes of figures that come every two seconds. */
const KEPT = 300;

const samples = new Map<string, Sample[]>();
const states = new Map<string, TaskView['state']>();

/** The figures of a task seen since the console was opened, the oldest first. */
export const samplesOf = (task: TaskView): readonly Sample[] => samples.get(task.id) ?? [];

/** A pair as it is now, looked at every second. Changes of state are told to screen readers. */
export const useLivePair = (id: string): Loaded<PairView> & { again(): void } =>
  usePoll(`pair ${id}`, EVERY_MS, async (api) => {
    const pair = await api.getPair(id);
    for (const direction of directions) note(pair.tasks[direction]);
    return pair;
  });

function note(task: TaskView): void {
  const before = states.get(task.id);
  states.set(task.id, task.state);
  if (before !== undefined && before !== task.state)
    announce(`${nameOfTask[task.direction]}: ${wordsOfState(task.state)}.`);
  const { status } = task;
  if (!status) return;
  const seen = samples.get(task.id) ?? [];
  const at = Date.parse(status.at) / 1000;
  if (seen.length > 0 && seen.at(-1)!.at >= at) return;
  const { latencySeconds, rowsPerSecond } = status;
  samples.set(task.id, [...seen.slice(1 - KEPT), { at, latencySeconds, rowsPerSecond }]);
}
