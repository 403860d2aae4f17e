import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Tagged } from '../../../../../shared/client/call.ts';
import { count } from '../../../../../shared/client/figures.ts';
import type { VerificationView } from '../../../../../shared/client/verify-contract.ts';
import type { Side } from '../../../../../shared/task/schema.ts';
import { differingRows, isUnderWork } from '../../../../../shared/verify/run-facts.ts';
import { wordsOfWinner } from '../../../../../shared/verify/winner.ts';
import { announce } from '../announce.ts';
import { usePoll } from '../load.ts';
import { Button } from '../parts/button.tsx';
import { Confirm } from '../parts/dialog.tsx';
import { Facts, Meter } from '../parts/meter.tsx';
import { Failure, Loading, Notice } from '../parts/notice.tsx';
import { Page } from '../parts/page.tsx';
import { href } from '../route.ts';
import { api } from '../session.ts';
import { counted, timeOf } from '../words.ts';
import { Differences, TableReports } from './report.tsx';
import { RunState } from './run-state.tsx';
import { shownRun } from './shown-run.ts';

const EVERY_MS = 1_000;

/** One verification: how far it is, what differs, and the repair. */
export function VerificationPage({ id, run: name }: { id: string; run: string }): JSX.Element {
  const {
    value: read,
    error,
    again,
  } = usePoll(`verification ${id} ${name}`, EVERY_MS, (client) => client.readVerification(id, name));
  const run = read?.value;
  return (
    <Page
      title={run ? `Verification of ${timeOf(run.startedAt)}` : 'Verification'}
      trail={[
        { name: 'Pairs', to: href() },
        { name: 'Pair', to: href('pairs', id) },
        { name: 'Verification', to: href('pairs', id, 'verification') },
      ]}
      aside={run && <RunState run={run} />}
    >
      {error !== undefined && <Failure error={error} onRetry={again} />}
      {!run && error === undefined && <Loading what="the verification" />}
      {read && run && (
        <>
          <Outcome run={run} />
          <section class="card" aria-label="Figures">
            {isUnderWork(run) && run.tables > 0 && (
              <Meter label="Tables compared" percent={(100 * run.tablesDone) / run.tables} />
            )}
            <Facts facts={factsOf(run)} />
          </section>
          <Steps id={id} read={read} onDone={again} />
          <Differences pair={id} run={run} />
          <TableReports pair={id} run={run} />
        </>
      )}
    </Page>
  );
}

function Outcome({ run }: { run: VerificationView }): JSX.Element | null {
  const { error, equal, waiting, current } = run;
  if (error)
    return (
      <Notice tone="bad" title={error.code}>
        <p class="pre">{error.detail}</p>
        <p class="muted">{error.advice}</p>
      </Notice>
    );
  if (equal === true)
    return (
      <Notice tone="good" title="Both sides are equal">
        <p>
          All that was compared is the same on both.
          {run.tablesSkipped > 0 &&
            ` Not compared: ${counted(run.tablesSkipped, 'table')} with a filter or steps, listed below.`}
        </p>
      </Notice>
    );
  if (equal === false)
    return (
      <Notice tone="warn" title="Both sides differ">
        <p>
          The keys are listed below. A repair goes through the conflict protocol, so that it meets no new
          write.
        </p>
      </Notice>
    );
  if (waiting || current)
    return (
      <p class="muted" role="status">
        {waiting ?? `Comparing ${current?.a.schema}.${current?.a.name}`}
      </p>
    );
  return null;
}

function factsOf(run: VerificationView): (readonly [string, string])[] {
  const { counts, tables, tablesDone, tablesFailed, tablesSkipped, by, finishedAt, repair } = run;
  return [
    [
      'Tables',
      `${tablesDone} of ${tables}${tablesFailed > 0 ? `, ${tablesFailed} failed` : ''}${tablesSkipped > 0 ? `, ${tablesSkipped} skipped` : ''}`,
    ],
    ['Rows read', `${count(counts.rowsOnA)} on a, ${count(counts.rowsOnB)} on b`],
    ['Different', count(counts.different)],
    ['Missing', `${count(counts.missingOnA)} on a, ${count(counts.missingOnB)} on b`],
    ['Equal when looked at again', count(counts.rechecked)],
    ...(counts.extra > 0 ? ([['Only on the destination', count(counts.extra)]] as const) : []),
    ...(counts.unsettled > 0 ? ([['Changing all the time', count(counts.unsettled)]] as const) : []),
    ...(repair
      ? ([
          [
            'Repaired',
            `${count(repair.repaired)}, ${count(repair.refused)} refused, ${wordsOfWinner(repair.order.winner)}`,
          ],
        ] as const)
      : []),
    ['Asked for by', by],
    ...(finishedAt ? ([['Finished', timeOf(finishedAt)]] as const) : []),
  ];
}

function Steps({
  id,
  read,
  onDone,
}: {
  id: string;
  read: Tagged<VerificationView>;
  onDone: () => void;
}): JSX.Element | null {
  const [asked, setAsked] = useState<Side | 'cancel'>();
  const { value: run } = read;
  const repairable = run.status === 'finished' && run.equal === false && differingRows(run.counts) > 0;
  if (!repairable && !isUnderWork(run) && !asked) return null;
  return (
    <div class="row">
      {isUnderWork(run) && (
        <Button needs="operator" onClick={() => setAsked('cancel')}>
          Cancel the run…
        </Button>
      )}
      {repairable && (
        <>
          <Button kind="primary" needs="admin" onClick={() => setAsked('a')}>
            Repair: side a wins…
          </Button>
          <Button kind="primary" needs="admin" onClick={() => setAsked('b')}>
            Repair: side b wins…
          </Button>
        </>
      )}
      {asked === 'cancel' && (
        <Confirm
          title="Cancel this run?"
          confirm="Cancel the run"
          onClose={() => setAsked(undefined)}
          // For no version of it: one under work moves all the time, and one that has ended stays as it is.
          onConfirm={async () => {
            await api().cancelVerification(id, run.id);
            announce('The run was cancelled.');
            onDone();
          }}
        >
          <p>What was found so far stays to be read. Nothing was changed in the databases.</p>
        </Confirm>
      )}
      {(asked === 'a' || asked === 'b') && (
        <Confirm
          title={`Repair, side ${asked} wins?`}
          confirm="Repair"
          danger
          onClose={() => setAsked(undefined)}
          shown={shownRun(id, read)}
          onConfirm={async (guard) => {
            await api().repairVerification(id, run.id, { winner: asked }, guard);
            announce('The repair was asked for.');
            onDone();
          }}
        >
          <p>
            The rows of the listed keys become on side {asked === 'a' ? 'b' : 'a'} what they are on side{' '}
            {asked}; rows that side {asked} does not have are deleted there.
          </p>
          <p>A row that was changed meanwhile is left alone.</p>
        </Confirm>
      )}
    </div>
  );
}
