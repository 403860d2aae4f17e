import type { PairView, TaskView } from '../../../../shared/client/contract.ts';
import type { Direction, Endpoint, Side, TaskState } from '../../../../shared/task/schema.ts';

// As in shared/task/schema.ts, which brings all of zod along.
export const directions = ['forward', 'reverse'] as const satisfies readonly Direction[];
export const sourceOf = (direction: Direction): Side => (direction === 'forward' ? 'a' : 'b');
export const destinationOf = (direction: Direction): Side => (direction === 'forward' ? 'b' : 'a');

export const nameOfTask: Readonly<Record<Direction, string>> = {
  forward: 'Forward task',
  reverse: 'Reverse task',
};
export const wayOf = (direction: Direction): string =>
  `${sourceOf(direction)} to ${destinationOf(direction)}`;

export const placeOf = ({ database, host, port }: Endpoint): string => `${database} at ${host}:${port}`;

export type Tone = 'good' | 'busy' | 'warn' | 'bad' | 'neutral';
const tones: Readonly<Record<TaskState, Tone>> = {
  NotConfigured: 'neutral',
  Prechecking: 'busy',
  PrecheckFailed: 'bad',
  PrecheckPassed: 'busy',
  Initializing: 'busy',
  Running: 'good',
  Retrying: 'warn',
  Pausing: 'busy',
  Paused: 'neutral',
  Failed: 'bad',
  Finished: 'good',
  Releasing: 'busy',
  Released: 'neutral',
};
export const toneOf = (state: TaskState): Tone => tones[state];

const stateWords: Partial<Record<TaskState, string>> = {
  NotConfigured: 'Not configured',
  PrecheckFailed: 'Precheck failed',
  PrecheckPassed: 'Precheck passed',
};
export const wordsOfState = (state: TaskState): string => stateWords[state] ?? state;

/** States in which a task's figures are of now. */
export const isLive = ({ state }: TaskView): boolean =>
  ['Initializing', 'Running', 'Retrying', 'Pausing'].includes(state);

/** True while the forward task has not been started: its procedure is not done. */
export const isInSetup = ({ tasks }: PairView): boolean =>
  tasks.forward.generation === 0 && tasks.forward.state !== 'Released';

/** A moment as the reader's own clock shows it. */
export const timeOf = (text: string): string => {
  const at = new Date(text);
  return Number.isNaN(at.getTime())
    ? text
    : at.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
};

/** `lastWriteWins` or `last-write-wins` as `Last write wins`. */
export function wordsOfName(name: string): string {
  const words = name
    .replace(/([a-z\d])([A-Z])/g, '$1 $2')
    .replaceAll(/[-_]/g, ' ')
    .toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Plural of a counted word: `3 tables`. */
export const counted = (n: number, word: string): string =>
  `${n.toLocaleString('en-US')} ${word}${n === 1 ? '' : 's'}`;
