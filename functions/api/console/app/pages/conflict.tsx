import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Guard } from '../../../../../shared/client/call.ts';
import type { ApiClient, Take } from '../../../../../shared/client/client.ts';
import type { ConflictDetail, TaskView } from '../../../../../shared/client/contract.ts';
import type { Direction } from '../../../../../shared/task/schema.ts';
import { announce } from '../announce.ts';
import { useLoad } from '../load.ts';
import { Button } from '../parts/button.tsx';
import { Confirm } from '../parts/dialog.tsx';
import { Facts } from '../parts/meter.tsx';
import { Failure, Loading, Notice } from '../parts/notice.tsx';
import { Page } from '../parts/page.tsx';
import { Badge } from '../parts/state.tsx';
import { go, href } from '../route.ts';
import { api } from '../session.ts';
import { shownTask } from '../shown.ts';
import { keyText, toneOfResult } from '../task/conflicts.tsx';
import { Versions } from '../task/versions.tsx';
import { nameOfTask, timeOf } from '../words.ts';

type Both = { readonly task: TaskView; readonly conflict: ConflictDetail };
type Props = { readonly id: string; readonly direction: Direction; readonly conflict: string };

/** One conflict: both versions, how it was decided, and what a person can still choose. */
export function ConflictPage({ id, direction, conflict: number }: Props): JSX.Element {
  const readBoth = async (client: ApiClient): Promise<Both> => {
    // The task first: if it changes in between, that shows when something is chosen.
    const task = await client.getTask(id, direction);
    return { task, conflict: await client.getConflict(id, direction, number) };
  };
  const { value: read, error, replace, reload } = useLoad(`conflict ${id} ${direction} ${number}`, readBoth);
  const value = read?.conflict;
  return (
    <Page
      title={`Conflict ${number}`}
      trail={[
        { name: 'Pairs', to: href() },
        { name: 'Pair', to: href('pairs', id) },
        { name: nameOfTask[direction], to: href('pairs', id, direction) },
        { name: 'Conflicts', to: href('pairs', id, direction, 'conflicts') },
      ]}
      lead={value && `${value.schema}.${value.table} · ${timeOf(value.at)}`}
      aside={value && <Badge tone={toneOfResult(value.result)}>{value.result}</Badge>}
    >
      {error !== undefined && <Failure error={error} onRetry={reload} />}
      {!value && error === undefined && <Loading what="the conflict" />}
      {read && value && (
        <>
          <section class="card" aria-label="Facts">
            <Facts facts={factsOf(value)} />
          </section>
          <Choice
            task={read.task}
            conflict={value}
            onChosen={async () => replace(await readBoth(api()))}
            onChanged={reload}
          />
          <h2>Both versions</h2>
          <Versions conflict={value} />
        </>
      )}
    </Page>
  );
}

function factsOf(conflict: ConflictDetail): (readonly [string, string])[] {
  const { kind, suspectedKind, policy, constraint, key, position } = conflict;
  return [
    ['Kind', suspectedKind ? `${kind}, perhaps ${suspectedKind}` : kind],
    ['Decided by', policy],
    ['Key', keyText(key) || 'not shown to this token'],
    ...(constraint ? ([['Constraint', constraint]] as const) : []),
    ['Position', position],
  ];
}

type ChoiceProps = {
  readonly task: TaskView;
  readonly conflict: ConflictDetail;
  readonly onChosen: () => Promise<void>;
  readonly onChanged: () => void;
};

function Choice({ task, conflict, onChosen, onChanged }: ChoiceProps): JSX.Element | null {
  const [asked, setAsked] = useState<Take | 'retry'>();
  const { choice, offers, id } = conflict;
  const { pairId: pair, direction } = task;
  if (offers.length === 0 && !choice && !asked) return null;
  const take = async (chosen: Take, guard: Guard): Promise<void> => {
    await api().resolveConflict(pair, direction, id, chosen, guard);
    await onChosen();
    announce(`The ${chosen}'s version was chosen. Retry the task to carry it out.`);
  };
  return (
    <Notice
      tone={choice ? 'busy' : 'warn'}
      title={choice ? `Chosen: the ${choice.take}'s version` : 'This conflict stopped the task'}
    >
      {choice ? (
        <p>
          By {choice.by}, {timeOf(choice.at)}.{' '}
          {offers.includes('retry') && 'It is carried out when the task is tried again.'}
        </p>
      ) : (
        <p>Choose the version that stays on both sides, then retry the task. Everything behind it waits.</p>
      )}
      <div class="row">
        {offers.includes('take-source') && (
          <Button
            needs="operator"
            kind={choice?.take === 'source' ? 'quiet' : 'primary'}
            onClick={() => setAsked('source')}
          >
            Take the source's version…
          </Button>
        )}
        {offers.includes('keep-destination') && (
          <Button
            needs="operator"
            kind={choice?.take === 'destination' ? 'quiet' : 'primary'}
            onClick={() => setAsked('destination')}
          >
            Keep the destination's version…
          </Button>
        )}
        {offers.includes('retry') && (
          <Button needs="operator" kind={choice ? 'primary' : 'plain'} onClick={() => setAsked('retry')}>
            Retry the task…
          </Button>
        )}
      </div>
      {(asked === 'source' || asked === 'destination') && (
        <Confirm
          title={asked === 'source' ? "Take the source's version?" : "Keep the destination's version?"}
          confirm={asked === 'source' ? 'Take the source' : 'Keep the destination'}
          onClose={() => setAsked(undefined)}
          shown={shownTask(task)}
          onChanged={onChanged}
          onConfirm={(guard) => take(asked, guard)}
        >
          <p>
            {asked === 'source'
              ? 'The version that arrived is written to the destination when the task is tried again.'
              : 'The version on the destination stays, and goes back to the source, when the task is tried again.'}
          </p>
          <p>Nothing changes before that: the choice can still be replaced by the other one.</p>
        </Confirm>
      )}
      {asked === 'retry' && (
        <Confirm
          title="Retry the task?"
          confirm="Retry"
          onClose={() => setAsked(undefined)}
          shown={shownTask(task)}
          onChanged={onChanged}
          onConfirm={async (guard) => {
            await api().act(pair, direction, 'retry', guard);
            go('pairs', pair, direction);
          }}
        >
          <p>The task goes on from where it stopped.</p>
          <p>
            {choice
              ? `The ${choice.take}'s version of this row stays.`
              : 'Nothing was chosen for this conflict: the task will stop at it again.'}
          </p>
        </Confirm>
      )}
    </Notice>
  );
}
