import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { PlainAction } from '../../../../../shared/client/client.ts';
import type { PairView, TaskView } from '../../../../../shared/client/contract.ts';
import { announce } from '../announce.ts';
import { Button } from '../parts/button.tsx';
import { Confirm } from '../parts/dialog.tsx';
import { api, may } from '../session.ts';
import { shownTask } from '../shown.ts';
import { nameOfTask, sourceOf } from '../words.ts';
import { RequestPreview } from './request-preview.tsx';

type Plan = {
  readonly name: string;
  readonly danger?: true;
  readonly needs: 'operator' | 'admin';
  /** What happens, for the person who is asked. */
  readonly means: (task: TaskView) => readonly string[];
};

const plans: Readonly<Record<PlainAction, Plan>> = {
  start: {
    name: 'Start',
    needs: 'operator',
    means: ({ direction }) => [
      'The tables are made on the destination where they are missing, their rows are copied, and then every change follows.',
      ...(direction === 'forward'
        ? ['If the reverse task was configured to start by itself, it starts when this one runs.']
        : []),
    ],
  },
  pause: {
    name: 'Pause',
    needs: 'operator',
    means: ({ direction }) => [
      'Changes are not carried over until the task is resumed. Nothing is lost.',
      `Until then the slot keeps WAL on the disk of side ${sourceOf(direction)}, and more of it with every write there.`,
    ],
  },
  resume: { name: 'Resume', needs: 'operator', means: () => ['The task goes on from where it was paused.'] },
  retry: {
    name: 'Retry',
    needs: 'operator',
    means: () => [
      'The task goes on from where it stopped; nothing is copied again.',
      'If the cause is still there, it stops again. A choice made for a conflict is carried out now.',
    ],
  },
  restart: {
    name: 'Restart',
    needs: 'admin',
    danger: true,
    means: () => [
      'The task begins from the beginning: all rows are copied again.',
      'Rows that are on the destination are kept. Rows that were changed on both sides meanwhile then differ: when both tasks run, a verification says which. Resume and retry lose nothing: prefer them where they are offered.',
    ],
  },
  release: {
    name: 'Release',
    needs: 'admin',
    danger: true,
    means: ({ direction }) => [
      `Slot, publication, triggers, queue and all else that this task made are dropped, on both sides. The tables and their rows stay.`,
      `A released task can not be started again.${direction === 'forward' ? ' The reverse task is not touched.' : ''}`,
      'What can not be dropped is listed with the SQL to do it by hand.',
    ],
  },
};

const order: readonly PlainAction[] = ['start', 'resume', 'retry', 'pause', 'restart', 'release'];

/** What may be done with a task now. Each asks first. */
export function Actions({
  pair,
  task,
  onDone,
}: {
  pair: PairView;
  task: TaskView;
  onDone: () => void;
}): JSX.Element | null {
  const [asked, setAsked] = useState<PlainAction>();
  // What never started has nothing to release: the pair itself is deleted.
  const allowed = order.filter(
    (action) =>
      task.allowedActions.includes(action) &&
      may(plans[action].needs) &&
      (action !== 'release' || task.generation > 0),
  );
  if (allowed.length === 0 && !asked) return null;
  const title = nameOfTask[task.direction];
  const plan = asked && plans[asked];
  return (
    <fieldset class="row actions">
      <legend class="unseen">Actions of the {title.toLowerCase()}</legend>
      {allowed.map((action) => (
        <Button
          key={action}
          kind={plans[action].danger ? 'quiet' : action === 'pause' ? 'plain' : 'primary'}
          label={`${plans[action].name} the ${title.toLowerCase()}`}
          onClick={() => setAsked(action)}
        >
          {plans[action].name}
          {'…'}
        </Button>
      ))}
      {asked && plan && (
        <Confirm
          title={`${plan.name} the ${title.toLowerCase()} of ${pair.name}?`}
          confirm={plan.name}
          {...(plan.danger ? { danger: true } : {})}
          onClose={() => setAsked(undefined)}
          shown={shownTask(task)}
          onConfirm={async (guard) => {
            await api().act(pair.id, task.direction, asked, guard);
            announce(`${title}: ${plan.name.toLowerCase()} was asked for.`);
            onDone();
          }}
        >
          {plan.means(task).map((sentence) => (
            <p key={sentence}>{sentence}</p>
          ))}
          <RequestPreview operation={`${asked}Task`} pair={pair.id} direction={task.direction} />
        </Confirm>
      )}
    </fieldset>
  );
}
