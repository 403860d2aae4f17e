import type { JSX } from 'preact';
import type { TaskView } from '../../../../../shared/client/contract.ts';
import type { TaskState } from '../../../../../shared/task/schema.ts';
import { type Tone, toneOf, wordsOfState } from '../words.ts';

const marks: Readonly<Record<Tone, string>> = { good: '●', busy: '◐', warn: '▲', bad: '■', neutral: '○' };

/** A word with a mark: the colour alone says nothing. */
export function Badge({ tone, children }: { tone: Tone; children: string }): JSX.Element {
  return (
    <span class={`badge ${tone}`}>
      <span class="badge-mark" aria-hidden="true">
        {marks[tone]}
      </span>
      <span>{children}</span>
    </span>
  );
}

export const State = ({ state }: { state: TaskState }): JSX.Element => (
  <Badge tone={toneOf(state)}>{wordsOfState(state)}</Badge>
);

/** What a reverse task that was configured with the forward one waits for. */
export const waitsForForward = ({ direction, autoStart, configured, state }: TaskView): boolean =>
  direction === 'reverse' && autoStart && configured && ['NotConfigured', 'PrecheckPassed'].includes(state);
