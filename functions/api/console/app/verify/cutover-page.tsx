import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { CutoverReport } from '../../../../../shared/client/verify-contract.ts';
import type { Direction } from '../../../../../shared/task/schema.ts';
import { announce } from '../announce.ts';
import { useLoad } from '../load.ts';
import { Button } from '../parts/button.tsx';
import { CopyText } from '../parts/copy-text.tsx';
import { Confirm } from '../parts/dialog.tsx';
import { SelectField } from '../parts/field.tsx';
import { Failure, Loading, Notice } from '../parts/notice.tsx';
import { Page } from '../parts/page.tsx';
import { Badge } from '../parts/state.tsx';
import { href } from '../route.ts';
import { api } from '../session.ts';
import { shownPair } from '../shown.ts';
import { counted } from '../words.ts';

/** Moves the application from one side to the other: checks, and the sequences. */
export function CutoverPage({ id }: { id: string }): JSX.Element {
  const [direction, setDirection] = useState<Direction>('forward');
  const { value, error, reload } = useLoad(`cutover ${id} ${direction}`, async (client) => {
    // The checks are of the very versions of both tasks that the sequences are then set for.
    const shown = shownPair(await client.getPair(id));
    const report = await client.cutOver(id, { direction, dryRun: true }, { ifMatch: shown.tag });
    return { shown, report };
  });
  const [done, setDone] = useState<CutoverReport>();
  const [asking, setAsking] = useState(false);
  const report = done ?? value?.report;
  return (
    <Page
      title="Cut-over"
      trail={[
        { name: 'Pairs', to: href() },
        { name: 'Pair', to: href('pairs', id) },
      ]}
      lead="Before the application moves: whether everything has arrived, and sequences set past what was used."
    >
      <div class="filters">
        <SelectField
          label="The application moves"
          value={direction}
          onChange={(next) => {
            setDone(undefined);
            setDirection(next === 'reverse' ? 'reverse' : 'forward');
          }}
          options={[
            { value: 'forward', text: 'from side a to side b' },
            { value: 'reverse', text: 'from side b to side a' },
          ]}
        />
      </div>
      {error !== undefined && <Failure error={error} onRetry={reload} />}
      {!report && error === undefined && <Loading what="the checks" />}
      {report && <Report report={report} />}
      {report && (
        <div class="row end">
          <Button
            onClick={() => {
              setDone(undefined);
              reload();
            }}
          >
            Check again
          </Button>
          {!done && (
            <Button kind="primary" needs="operator" disabled={!report.ready} onClick={() => setAsking(true)}>
              Set the sequences…
            </Button>
          )}
        </div>
      )}
      {asking && value && (
        <Confirm
          title="Set the sequences?"
          confirm="Set them"
          onClose={() => setAsking(false)}
          shown={value.shown}
          onChanged={reload}
          onConfirm={async (guard) => {
            setDone(await api().cutOver(id, { direction }, guard));
            announce('The sequences were set.');
          }}
        >
          <p>
            Each sequence of side {direction === 'forward' ? 'b' : 'a'} is set past what the other side has
            given. None goes back. Stop the application's writes on the old side before it writes on the new
            one.
          </p>
        </Confirm>
      )}
    </Page>
  );
}

function Report({ report }: { report: CutoverReport }): JSX.Element {
  const { checks, sequences, sql, ready, dryRun } = report;
  const behind = sequences.filter((each) => each.sql !== null);
  return (
    <>
      {!dryRun && (
        <Notice tone="good" title="The sequences were set">
          <p>The application can move.</p>
        </Notice>
      )}
      <section class="card" aria-labelledby="checks">
        <h2 id="checks">Checks</h2>
        <p>
          <Badge tone={ready ? 'good' : 'bad'}>{ready ? 'Ready' : 'Not ready'}</Badge>
        </p>
        <ul class="items">
          {checks.map(({ check, ok, detail }) => (
            <li key={check} class="item">
              <div class="item-head">
                <Badge tone={ok ? 'good' : 'bad'}>{ok ? 'Passed' : 'Failed'}</Badge>
                <code>{check}</code>
              </div>
              <p>{detail}</p>
            </li>
          ))}
        </ul>
      </section>
      <section class="card" aria-labelledby="sequences">
        <h2 id="sequences">Sequences</h2>
        <p>
          {counted(sequences.length, 'sequence')}, {behind.length} of them behind.
        </p>
        {sql.length > 0 && <CopyText text={`${sql.join(';\n')};`} what="SQL of the sequences" />}
      </section>
    </>
  );
}
