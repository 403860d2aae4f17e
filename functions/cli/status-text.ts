import type { PairView, TaskView } from '../../shared/client/contract.ts';
import { bytes, count, decimal, duration } from '../../shared/client/figures.ts';
import type { Paint } from '../../shared/client/precheck-text.ts';
import { type Direction, destinationOf, sourceOf, type TaskState } from '../../shared/task/schema.ts';
import { bar, spark } from './figures.ts';

/** A figure that is older than this is shown with its age. */
const OLD_SECONDS = 15;
const live: readonly TaskState[] = ['Initializing', 'Running', 'Retrying', 'Pausing'];
const colours: { readonly [State in TaskState]?: 'green' | 'yellow' | 'red' | 'dim' } = {
  Running: 'green',
  Finished: 'green',
  Retrying: 'yellow',
  Failed: 'red',
  PrecheckFailed: 'red',
  Released: 'dim',
};

/** Latencies seen by a watch, by task. */
export type Latencies = ReadonlyMap<Direction, readonly (number | null)[]>;

export type StatusOptions = {
  readonly directions: readonly Direction[];
  readonly paint: Paint;
  readonly now: Date;
  readonly latencies?: Latencies;
};

/** A pair and its tasks, as a few lines each. */
export function pairLines(pair: PairView, options: StatusOptions): string[] {
  const { a, b } = pair.sides;
  const place = ({ database, host, port }: typeof a) => `${database} at ${host}:${port}`;
  return [
    `${options.paint('bold', pair.name)} (${pair.id})   a: ${place(a)}   b: ${place(b)}${pair.deleting ? '   being deleted' : ''}`,
    ...options.directions.flatMap((direction) => taskLines(pair.tasks[direction], options)),
  ];
}

function taskLines(task: TaskView, { paint, now, latencies }: StatusOptions): string[] {
  const { direction, state, status, error } = task;
  const colour = colours[state];
  const way = `${sourceOf(direction)} -> ${destinationOf(direction)}`;
  const figures = status && live.includes(state) ? figuresOf(status, now) : [];
  const shown = state.padEnd(14);
  const head = `  ${direction.padEnd(8)} ${way}   ${colour ? paint(colour, shown) : shown}  ${figures.join('   ')}`;
  const seen = latencies?.get(direction) ?? [];
  return [
    head.trimEnd(),
    ...(status?.copy && state === 'Initializing' ? copyLines(status.copy) : []),
    ...(status && status.rowsApplied > 0 ? [appliedLine(status)] : []),
    ...(seen.length > 1 && live.includes(state) ? [`      latency  ${spark(seen)}`] : []),
    ...(status?.notes ?? []).map((note) => `      note     ${note}`),
    ...(error && state !== 'Running'
      ? [`      ${paint('red', 'error')}    ${error.code}: ${error.detail}`]
      : []),
    ...(error && state !== 'Running' ? [`               ${error.advice}`] : []),
    ...(task.autoStart && ['NotConfigured', 'PrecheckPassed'].includes(state) && task.configured
      ? ['      starts by itself when the forward task runs']
      : []),
  ];
}

type Status = NonNullable<TaskView['status']>;

function figuresOf(status: Status, now: Date): string[] {
  const { latencySeconds, rowsPerSecond, bytesPerSecond, walRetainedBytes, at } = status;
  const age = (now.getTime() - Date.parse(at)) / 1000;
  return [
    ...(latencySeconds === null ? [] : [`latency ${duration(latencySeconds)}`]),
    `${decimal(rowsPerSecond)} rows/s`,
    `${bytes(bytesPerSecond)}/s`,
    ...(walRetainedBytes === null ? [] : [`WAL kept ${bytes(walRetainedBytes)}`]),
    ...(age > OLD_SECONDS ? [`as of ${duration(age)} ago`] : []),
  ];
}

function copyLines(copy: NonNullable<Status['copy']>): string[] {
  const { percent, rowsDone, rowsEstimated, tables, tablesDone, etaSeconds } = copy;
  const rest = etaSeconds === null ? '' : `   ${duration(etaSeconds)} to go`;
  const done = `${tablesDone} of ${tables} tables   ${count(rowsDone)} of about ${count(rowsEstimated)} rows${rest}`;
  return [`      copy     ${bar(percent / 100)} ${percent.toFixed(1).padStart(5)} %   ${done}`];
}

const appliedLine = ({ rowsApplied, transactionsApplied, conflicts }: Status): string =>
  `      applied  ${count(rowsApplied)} rows in ${count(transactionsApplied)} transactions, ${count(conflicts)} conflicts`;
