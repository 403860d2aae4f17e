import type { HistoryView, PairView, TaskView } from '../../../../shared/client/contract.ts';
import { announce } from './announce.ts';
import { type Loaded, usePoll } from './load.ts';
import { directions, nameOfTask, wordsOfState } from './words.ts';

/** One look at a task's figures; times in seconds since 1970, as the plots want them. */
export type Sample = {
  readonly at: number;
  readonly latencySeconds: number | null;
  readonly rowsPerSecond: number | null;
};

const EVERY_MS = 1_000;
/** Ten minutes of figures that come every two seconds. */
const KEPT = 300;

const samples = new Map<string, Sample[]>();
const states = new Map<string, TaskView['state']>();

/** The monitor adds to it once a minute. */
const HISTORY_MS = 60_000;
export const useHistory = ({ id, pairId, direction }: TaskView): HistoryView | undefined =>
  usePoll(`history ${id}`, HISTORY_MS, (api) => api.getHistory(pairId, direction)).value;

/** The figures of a task, the oldest first: by the minute for a day, and closer since the console was opened. */
export function samplesOf(task: TaskView, history: HistoryView | undefined): readonly Sample[] {
  const seen = samples.get(task.id) ?? [];
  const from = seen[0]?.at ?? Infinity;
  const before = (history?.points ?? []).map(({ at, latencySeconds, rowsPerSecond }) => ({
    at: Date.parse(at) / 1000,
    ...{ latencySeconds, rowsPerSecond },
  }));
  return withGaps([...before.filter(({ at }) => at < from), ...seen]);
}

/** A minute and what its round may be late. */
const GAP_SECONDS = 150;

/** Where nothing is known for minutes, nothing is drawn. */
function withGaps(known: readonly Sample[]): Sample[] {
  return known.flatMap((each, n) => {
    const former = known[n - 1];
    const gap = former !== undefined && each.at - former.at > GAP_SECONDS;
    return gap ? [{ at: former.at + 1, latencySeconds: null, rowsPerSecond: null }, each] : [each];
  });
}

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
