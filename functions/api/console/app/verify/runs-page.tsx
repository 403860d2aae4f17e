import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { PairView } from '../../../../../shared/client/contract.ts';
import { count } from '../../../../../shared/client/figures.ts';
import type { VerificationView } from '../../../../../shared/client/verify-contract.ts';
import { differingRows } from '../../../../../shared/verify/run-facts.ts';
import { fieldErrorsOf } from '../field-errors.ts';
import { useLivePair } from '../live.ts';
import { usePoll } from '../load.ts';
import { Button } from '../parts/button.tsx';
import { Changes } from '../parts/changes.tsx';
import { ErrorSummary } from '../parts/error-summary.tsx';
import { SelectField, TextField } from '../parts/field.tsx';
import { Empty, Failure, Loading } from '../parts/notice.tsx';
import { Page } from '../parts/page.tsx';
import { Badge } from '../parts/state.tsx';
import { go, href } from '../route.ts';
import { api, may, newKey } from '../session.ts';
import { isChangedMeanwhile, type Looked, shownPair } from '../shown.ts';
import { timeOf } from '../words.ts';
import { RunState } from './run-state.tsx';

const EVERY_MS = 2_000;

/** Comparisons of both databases, and a new one. */
export function VerificationsPage({ id }: { id: string }): JSX.Element {
  const { value, error, again } = usePoll(`verifications ${id}`, EVERY_MS, (client) =>
    client.listVerifications(id),
  );
  const { value: pair } = useLivePair(id);
  return (
    <Page
      title="Verification"
      trail={[
        { name: 'Pairs', to: href() },
        { name: pair?.name ?? 'Pair', to: href('pairs', id) },
      ]}
      lead="Compares both databases row by row while changes flow. Rows that are on their way are looked at again."
    >
      {pair && may('operator') && <Begin pair={pair} />}
      <h2>Runs</h2>
      {error !== undefined && <Failure error={error} onRetry={again} />}
      {!value && error === undefined && <Loading what="the runs" />}
      {value?.verifications.length === 0 && <Empty title="Nothing was verified yet" />}
      {value && value.verifications.length > 0 && (
        <div class="table-box">
          <table>
            <caption class="unseen">Verifications, the newest first</caption>
            <thead>
              <tr>
                <th scope="col">Started</th>
                <th scope="col">Mode</th>
                <th scope="col">State</th>
                <th scope="col" class="number">
                  Tables
                </th>
                <th scope="col" class="number">
                  Rows read
                </th>
                <th scope="col" class="number">
                  Differences
                </th>
                <th scope="col">By</th>
              </tr>
            </thead>
            <tbody>
              {value.verifications.map((run) => (
                <RunRow key={run.id} pair={id} run={run} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Page>
  );
}

function RunRow({ pair, run }: { pair: string; run: VerificationView }): JSX.Element {
  const { id, startedAt, options, tables, tablesDone, counts, by, equal } = run;
  return (
    <tr>
      <th scope="row">
        <a href={href('pairs', pair, 'verification', id)}>{timeOf(startedAt)}</a>
      </th>
      <td>{options.mode === 'full' ? 'all rows' : `${options.samplePercent} % of the pages`}</td>
      <td>
        <RunState run={run} /> {equal === true && <Badge tone="good">equal</Badge>}
      </td>
      <td class="number">
        {tablesDone} of {tables}
      </td>
      <td class="number">{count(counts.rowsOnA + counts.rowsOnB)}</td>
      <td class="number">{count(differingRows(run.counts))}</td>
      <td>{by}</td>
    </tr>
  );
}

function Begin({ pair }: { pair: PairView }): JSX.Element {
  const [mode, setMode] = useState<'full' | 'sampled'>('full');
  const [percent, setPercent] = useState('1');
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState<unknown>(undefined);
  /** What has changed between the page and the service, and what is there since. */
  const [looked, setLooked] = useState<Looked>();
  const errors = fieldErrorsOf(refused);
  const start = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setRefused(undefined);
    setLooked(undefined);
    // The page may be a moment behind of what it has told.
    const shown = looked?.now ?? shownPair(pair);
    try {
      const options = mode === 'full' ? { mode } : { mode, samplePercent: Number(percent) };
      const guard = { ifMatch: shown.tag, idempotencyKey: newKey() };
      const run = await api().startVerification(pair.id, options, guard);
      go('pairs', pair.id, 'verification', run.id);
    } catch (thrown) {
      if (isChangedMeanwhile(thrown)) setLooked(await shown.look(api()).catch(() => undefined));
      setRefused(thrown);
      setBusy(false);
    }
  };
  return (
    <form class="card" onSubmit={(event) => void start(event)} noValidate>
      {looked ? (
        <Changes changes={looked.changes} then="Begin again if it is still what you want." />
      ) : (
        <ErrorSummary error={refused} />
      )}
      <div class="filters">
        <SelectField
          label="What is compared"
          path="mode"
          errors={errors}
          value={mode}
          onChange={(value) => setMode(value === 'sampled' ? 'sampled' : 'full')}
          options={[
            { value: 'full', text: 'All rows' },
            { value: 'sampled', text: 'A sample' },
          ]}
        />
        {mode === 'sampled' && (
          <TextField
            label="Percent of the pages"
            type="number"
            path="samplePercent"
            errors={errors}
            value={percent}
            onChange={setPercent}
          />
        )}
        <div class="row">
          <Button type="submit" kind="primary" busy={busy}>
            Verify now
          </Button>
        </div>
      </div>
    </form>
  );
}
