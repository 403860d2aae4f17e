import { asPgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { alerts } from './duties/alerts.ts';
import { backlog } from './duties/backlog.ts';
import { expiry } from './duties/expiry.ts';
import { history } from './duties/history.ts';
import { latency } from './duties/latency.ts';
import { restarts } from './duties/restarts.ts';
import { retries } from './duties/retries.ts';
import { states } from './duties/states.ts';
import { verification } from './duties/verification.ts';
import type { Duty, Round } from './duty.ts';
import { readWatched } from './watch.ts';

/** In this order: what gives up shows in the states of the same round; what takes long comes last. */
export const duties: readonly Duty[] = [
  ...[retries, states, latency, history, alerts, backlog, expiry],
  ...[restarts, verification],
];

/** One round of the monitor. A duty that fails does not stop the others; gives the names of those that failed. */
export async function runRound(round: Omit<Round, 'watched'>, all = duties): Promise<string[]> {
  const failed: string[] = [];
  for (const duty of all) {
    try {
      await duty.run({ ...round, watched: duty.unwatched ? [] : await readWatched(round.repository) });
    } catch (error) {
      const { code, message } = asPgtwinError(error);
      round.log.error('duty failed', { duty: duty.name, code, detail: message });
      failed.push(duty.name);
    }
  }
  return failed;
}
