import { PgtwinError } from '../errors/pgtwin-error.ts';
import type { TaskState } from './schema.ts';

/**
 * The state machine of a task: one table, one pure function. A move that is not in the table is refused with the
 * list of those that are. Inputs in the imperative come from a user, the others from capture, copy and monitor.
 */
export type TaskInput =
  | 'configure'
  | 'precheck'
  | 'precheck-passed'
  | 'precheck-failed'
  | 'start'
  | 'initialized'
  | 'finished'
  | 'tables-added'
  | 'pause'
  | 'paused'
  | 'resume'
  | 'error'
  | 'recovered'
  | 'give-up'
  | 'slot-dropped'
  | 'retry'
  | 'restart'
  | 'release'
  | 'released';

/** `return` goes back to the state that Retrying or Pausing came from. */
type Target = TaskState | 'return';

export const moves: Readonly<Record<TaskState, Readonly<Partial<Record<TaskInput, Target>>>>> = {
  NotConfigured: { configure: 'NotConfigured', precheck: 'Prechecking', release: 'Releasing' },
  Prechecking: {
    'precheck-passed': 'PrecheckPassed',
    'precheck-failed': 'PrecheckFailed',
    release: 'Releasing',
  },
  PrecheckFailed: { configure: 'NotConfigured', precheck: 'Prechecking', release: 'Releasing' },
  PrecheckPassed: {
    configure: 'NotConfigured',
    precheck: 'Prechecking',
    start: 'Initializing',
    release: 'Releasing',
  },
  Initializing: {
    initialized: 'Running',
    finished: 'Finished',
    pause: 'Pausing',
    error: 'Retrying',
    'give-up': 'Failed',
    release: 'Releasing',
  },
  Running: {
    'tables-added': 'Initializing',
    pause: 'Pausing',
    error: 'Retrying',
    'give-up': 'Failed',
    release: 'Releasing',
  },
  Retrying: {
    recovered: 'return',
    'give-up': 'Failed',
    pause: 'Pausing',
    retry: 'return',
    release: 'Releasing',
  },
  Pausing: { paused: 'Paused', 'give-up': 'Failed', release: 'Releasing' },
  Paused: { resume: 'return', restart: 'Initializing', release: 'Releasing' },
  // The deadline of its slot is over: it can not go on any more, only begin anew.
  Failed: { retry: 'return', restart: 'Initializing', 'slot-dropped': 'Failed', release: 'Releasing' },
  Finished: { restart: 'Initializing', release: 'Releasing' },
  Releasing: { released: 'Released', release: 'Releasing' },
  Released: {},
};

/** What the machine needs to know of a task. */
export type MachineTask = { readonly state: TaskState; readonly returnTo?: TaskState | undefined };
export type Moved = { readonly state: TaskState; readonly returnTo?: TaskState };

const interrupts: readonly TaskState[] = ['Retrying', 'Pausing', 'Paused', 'Failed'];

/** The state after `input`; throws `action-not-allowed` with the inputs that are allowed. */
export function next(task: MachineTask, input: TaskInput): Moved {
  const target = moves[task.state][input];
  if (target === undefined) {
    const allowed = allowedInputs(task.state).join(', ') || 'none';
    throw new PgtwinError('action-not-allowed', {
      detail: `"${input}" is not allowed in state ${task.state}; allowed are: ${allowed}.`,
      state: task.state,
      input,
    });
  }
  if (target === 'return') return { state: task.returnTo ?? 'Running' };
  if (!interrupts.includes(target)) return { state: target };
  // From one interruption to the next, what was interrupted first is what is returned to.
  return {
    state: target,
    returnTo: interrupts.includes(task.state) ? (task.returnTo ?? 'Running') : task.state,
  };
}

export const allowedInputs = (state: TaskState): TaskInput[] => Object.keys(moves[state]) as TaskInput[];

/** States in which a capture owns the task and does something for it. */
export const capturedStates: readonly TaskState[] = [
  'Initializing',
  'Running',
  'Retrying',
  'Pausing',
  'Releasing',
];
/** States in which apply writes; in others it deletes messages unread: the slot still has what they carry. */
export const appliedStates: readonly TaskState[] = ['Initializing', 'Running', 'Retrying', 'Pausing'];
