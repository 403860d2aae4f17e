import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Take } from '../../../../../shared/client/client.ts';
import type { ConflictDetail } from '../../../../../shared/client/contract.ts';
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
import { keyText, toneOfResult } from '../task/conflicts.tsx';
import { Versions } from '../task/versions.tsx';
import { nameOfTask, timeOf } from '../words.ts';

type Props = { readonly id: string; readonly direction: Direction; readonly conflict: string };

/** One conflict: both versions, how it was decided, and what a person can still choose. */
export function ConflictPage({ id, direction, conflict: number }: Props): JSX.Element {
  const { value, error, replace, reload } = useLoad(`conflict ${id} ${direction} ${number}`, (client) =>
    client.getConflict(id, direction, number),
  );
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
      {value && (
        <>
          <section class="card" aria-label="Facts">
            <Facts facts={factsOf(value)} />
          </section>
          <Choice pair={id} direction={direction} conflict={value} onChosen={replace} />
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
  readonly pair: string;
  readonly direction: Direction;
  readonly conflict: ConflictDetail;
  readonly onChosen: (conflict: ConflictDetail) => void;
};

function Choice({ pair, direction, conflict, onChosen }: ChoiceProps): JSX.Element | null {
  const [asked, setAsked] = useState<Take | 'retry'>();
  const { choice, offers, id } = conflict;
  if (offers.length === 0 && !choice) return null;
  const take = async (chosen: Take): Promise<void> => {
    onChosen(await api().resolveConflict(pair, direction, id, chosen));
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
          onConfirm={() => take(asked)}
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
          onConfirm={async () => {
            await api().act(pair, direction, 'retry');
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
