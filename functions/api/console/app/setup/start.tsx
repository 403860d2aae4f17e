import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Preview } from '../../../../../shared/client/client.ts';
import type { Direction } from '../../../../../shared/task/schema.ts';
import { useLoad } from '../load.ts';
import { Button } from '../parts/button.tsx';
import { CopyText } from '../parts/copy-text.tsx';
import { Confirm } from '../parts/dialog.tsx';
import { Failure, Loading, Notice } from '../parts/notice.tsx';
import { go, href } from '../route.ts';
import { api } from '../session.ts';
import { shownTask } from '../shown.ts';
import { counted, nameOfTask, placeOf, wayOf } from '../words.ts';
import { type Config, directionsOf, previewDraft, reverseSettings, type StepProps } from './draft.ts';

const SHOWN = 50;

/** What will be done, as words and as the API's own request; then the start. */
export function StartStep({ pair, draft, scope }: StepProps): JSX.Element {
  const { value, error, reload } = useLoad(`preview ${pair.id} ${JSON.stringify(draft)}`, (client) =>
    previewDraft(client, pair.id, scope, draft),
  );
  const [asking, setAsking] = useState(false);
  const wanted = directionsOf(scope, draft);
  const first = wanted[0] ?? 'forward';
  const ready = wanted.every((direction) => pair.tasks[direction].state === 'PrecheckPassed');
  const { a, b } = pair.sides;
  return (
    <>
      {error !== undefined && <Failure error={error} onRetry={reload} />}
      {!value && error === undefined && <Loading what="the preview" />}
      {!ready && (
        <Notice tone="warn" title="The precheck has not passed">
          <p>
            <a href={href('pairs', pair.id, 'setup', 'precheck')}>Go back to the precheck</a>
          </p>
        </Notice>
      )}
      {value && (
        <>
          <div class="cards">
            {wanted.map((direction) => (
              <Summary
                key={direction}
                direction={direction}
                config={
                  direction === 'forward'
                    ? draft.forward
                    : scope === 'reverse'
                      ? draft.reverse
                      : reverseSettings(draft)
                }
                preview={value.tables}
              />
            ))}
          </div>
          <section class="card" aria-labelledby="request">
            <h2 id="request">The request</h2>
            <p class="muted">
              What the console sends for this configuration, with all defaults; it can be sent again by any
              other means.
            </p>
            <CopyText
              text={`${value.request.method} ${value.request.path}\n${JSON.stringify(value.request.body, null, 2)}`}
              what="request"
            />
            <details>
              <summary>As a command</summary>
              <CopyText text={value.request.curl} what="request as a command" />
            </details>
          </section>
        </>
      )}
      <div class="row end">
        <Button kind="primary" disabled={!ready} onClick={() => setAsking(true)}>
          Start…
        </Button>
      </div>
      {asking && (
        <Confirm
          title={`Start ${pair.name}?`}
          confirm="Start now"
          onClose={() => setAsking(false)}
          shown={shownTask(pair.tasks[first])}
          onConfirm={async (guard) => {
            await api().act(pair.id, first, 'start', guard);
            go('pairs', pair.id);
          }}
        >
          {first === 'forward' ? (
            <p>
              The tables of {placeOf(a)} are made on {placeOf(b)} where they are missing, and their rows are
              copied. Rows that are there stay. Writes go on meanwhile, and follow.
            </p>
          ) : (
            <p>What is written on side b from now on is carried to side a.</p>
          )}
          {wanted.length === 2 && <p>The reverse task starts by itself when the forward task runs.</p>}
        </Confirm>
      )}
    </>
  );
}

function Summary({
  direction,
  config,
  preview,
}: {
  direction: Direction;
  config: Config;
  preview: Preview;
}): JSX.Element {
  const selected = preview[direction];
  const policy = config['conflictPolicy'];
  const waits = direction === 'reverse' && selected?.count === 0;
  return (
    <section class="card" aria-labelledby={`summary-${direction}`}>
      <h2 id={`summary-${direction}`}>{nameOfTask[direction]}</h2>
      <p class="muted small">{wayOf(direction)}</p>
      <p>
        {selected && !waits ? counted(selected.count, 'table') : 'The tables that the forward task makes'}
        {typeof policy === 'string' && `, conflicts by ${policy}`}
      </p>
      {selected && selected.count > 0 && (
        <details>
          <summary>Tables</summary>
          <ul class="columns">
            {selected.tables.slice(0, SHOWN).map(({ schema, name }) => (
              <li key={`${schema}.${name}`}>
                {schema}.{name}
              </li>
            ))}
          </ul>
          {selected.count > SHOWN && <p class="muted">and {selected.count - SHOWN} more</p>}
        </details>
      )}
    </section>
  );
}
