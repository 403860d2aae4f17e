import type { JSX } from 'preact';
import type { PairView, TaskView } from '../../../../../shared/client/contract.ts';
import { bytes, count, decimal, duration } from '../../../../../shared/client/figures.ts';
import type { TaskStatus } from '../../../../../shared/task/schema.ts';
import { CopyText } from '../parts/copy-text.tsx';
import { Meter } from '../parts/meter.tsx';
import { Notice } from '../parts/notice.tsx';
import { href } from '../route.ts';
import { counted, isLive, timeOf } from '../words.ts';

/** A figure that is older than this is shown with its age. */
const OLD_SECONDS = 15;

/** What the status of a task says, by name. */
export function figuresOf(task: TaskView): (readonly [string, string])[] {
  const { status } = task;
  if (!status) return [];
  const { latencySeconds, rowsPerSecond, bytesPerSecond, walRetainedBytes } = status;
  const live = isLive(task);
  const age = (Date.now() - Date.parse(status.at)) / 1000;
  return [
    ...(live
      ? ([
          ['Latency', latencySeconds === null ? 'not known yet' : duration(latencySeconds)],
          ['Rows', `${decimal(rowsPerSecond)} /s`],
          ['Bytes', `${bytes(bytesPerSecond)}/s`],
        ] as const)
      : []),
    ...(walRetainedBytes === null ? [] : ([['WAL kept at the source', bytes(walRetainedBytes)]] as const)),
    [
      'Applied',
      `${counted(status.rowsApplied, 'row')}, ${counted(status.transactionsApplied, 'transaction')}`,
    ],
    ['Conflicts', conflictsOf(status)],
    ...(live && age > OLD_SECONDS ? ([['As of', `${duration(age)} ago`]] as const) : []),
  ];
}

function conflictsOf({ conflicts, conflictsByKind }: TaskStatus): string {
  const kinds = Object.entries(conflictsByKind)
    .filter(([, n]) => n > 0)
    .map(([kind, n]) => `${kind} ${count(n)}`);
  return kinds.length > 0 ? `${count(conflicts)} (${kinds.join(', ')})` : count(conflicts);
}

/** The full copy as a whole. */
export function CopyProgress({ copy }: { copy: NonNullable<TaskStatus['copy']> }): JSX.Element {
  const { percent, rowsDone, rowsEstimated, bytesDone, tables, tablesDone, etaSeconds } = copy;
  return (
    <div>
      <Meter label="Full copy" percent={percent} />
      <p class="muted small">
        {tablesDone} of {tables} tables · {count(rowsDone)} of about {count(rowsEstimated)} rows ·{' '}
        {bytes(bytesDone)}
        {etaSeconds !== null && ` · about ${duration(etaSeconds)} to go`}
      </p>
    </div>
  );
}

/** What a person should know: errors with the way out, leftovers, and what falls back to what. */
export function TaskNotices({ pair, task }: { pair: PairView; task: TaskView }): JSX.Element {
  const { error, state, status, direction, retryingSince } = task;
  const shown = error && state !== 'Running' ? error : undefined;
  const leftovers = shown && state === 'Released';
  const stopped = shown?.code === 'conflict-stops-task' && state === 'Failed';
  return (
    <>
      {shown && !leftovers && (
        <Notice tone={state === 'Retrying' ? 'warn' : 'bad'} title={shown.code}>
          <p class="pre">{shown.detail}</p>
          <p class="muted">{shown.advice}</p>
          {retryingSince && state === 'Retrying' && (
            <p class="muted small">Tried again since {timeOf(retryingSince)}.</p>
          )}
          {stopped && (
            <p>
              <a
                href={
                  shown.conflict
                    ? href('pairs', pair.id, direction, 'conflicts', shown.conflict)
                    : href('pairs', pair.id, direction, 'conflicts')
                }
              >
                See the conflict and decide
              </a>
            </p>
          )}
        </Notice>
      )}
      {leftovers && (
        <Notice tone="warn" title="Some things were left behind">
          <p>{shown.advice}</p>
          <CopyText text={shown.detail} what="the list of leftovers" />
        </Notice>
      )}
      {status && status.notes.length > 0 && isLive(task) && (
        <details class="notes">
          <summary>
            {status.notes.length === 1 ? '1 note' : `${status.notes.length} notes`} on what this setup can not
            do
          </summary>
          <ul>
            {status.notes.map((note) => (
              <li key={note}>{note}</li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}
