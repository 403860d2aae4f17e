import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { ApiClient, PrecheckReports } from '../../../../../shared/client/client.ts';
import type { PrecheckReport } from '../../../../../shared/client/precheck-report.ts';
import type { Direction } from '../../../../../shared/task/schema.ts';
import { announce } from '../announce.ts';
import { useLoad } from '../load.ts';
import { Button } from '../parts/button.tsx';
import { Failure, Loading, Notice } from '../parts/notice.tsx';
import { go } from '../route.ts';
import { api } from '../session.ts';
import { Report } from '../task/precheck-report.tsx';
import { nameOfTask, wayOf } from '../words.ts';
import { directionsOf, isNotFound, type StepProps } from './draft.ts';

/** Looks at both databases for all that the tasks need. */
export function PrecheckStep({ pair, draft, scope, again }: StepProps): JSX.Element {
  const wanted = directionsOf(scope, draft);
  const stale = wanted.some((direction) => pair.tasks[direction].precheck === undefined);
  const { value, error, replace, reload } = useLoad(`prechecks ${pair.id} ${wanted.join()}`, (client) =>
    stale ? runAll(client, pair.id, wanted, {}) : readAll(client, pair.id, wanted),
  );
  const [busy, setBusy] = useState<'run' | 'ignore'>();
  const [failure, setFailure] = useState<unknown>(undefined);
  const run = async (what: 'run' | 'ignore'): Promise<void> => {
    setBusy(what);
    setFailure(undefined);
    try {
      replace(await runAll(api(), pair.id, wanted, what === 'ignore' ? { ignoreAlerts: true } : {}));
      announce('The precheck has run.');
    } catch (thrown) {
      setFailure(thrown);
    }
    setBusy(undefined);
    again();
  };
  const ready = value !== undefined && wanted.every((direction) => value[direction]?.ready);
  const alerts = wanted.some((direction) =>
    value?.[direction]?.items.some((item) => item.status === 'alert' && item.ignorable && !item.ignored),
  );
  return (
    <>
      {error !== undefined && <Failure error={error} onRetry={reload} />}
      {!value && error === undefined && <Loading what="the precheck: it looks at both databases" />}
      {failure !== undefined && <Failure error={failure} />}
      {value && !ready && (
        <Notice tone="warn" title="Something is to be done first">
          <p>Run the SQL that is shown, or ignore what may be ignored; then check again.</p>
        </Notice>
      )}
      {value &&
        wanted.map((direction) => {
          const report = value[direction];
          return (
            <section key={direction} class="card" aria-labelledby={`report-${direction}`}>
              <h2 id={`report-${direction}`}>
                {nameOfTask[direction]}, {wayOf(direction)}
              </h2>
              {report && (
                <Report
                  pair={pair.id}
                  direction={direction}
                  report={report}
                  onReport={(changed) => {
                    replace({ ...value, [direction]: changed });
                    again();
                  }}
                />
              )}
            </section>
          );
        })}
      <div class="row end">
        <Button busy={busy === 'run'} onClick={() => void run('run')}>
          Run all again
        </Button>
        {alerts && (
          <Button busy={busy === 'ignore'} onClick={() => void run('ignore')}>
            Ignore all alerts
          </Button>
        )}
        <Button kind="primary" disabled={!ready} onClick={() => go('pairs', pair.id, 'setup', 'start')}>
          Review and start
        </Button>
      </div>
    </>
  );
}

async function runAll(
  client: ApiClient,
  pair: string,
  wanted: readonly Direction[],
  order: { ignoreAlerts?: boolean },
): Promise<PrecheckReports> {
  if (wanted.length > 1) return client.precheckBoth(pair, order);
  const [only = 'forward'] = wanted;
  return { [only]: await client.precheckTask(pair, only, order) };
}

async function readAll(
  client: ApiClient,
  pair: string,
  wanted: readonly Direction[],
): Promise<PrecheckReports> {
  const reports = await Promise.all(
    wanted.map(async (direction): Promise<[Direction, PrecheckReport | undefined]> => {
      const report = await client.getPrecheck(pair, direction).catch((error: unknown) => {
        if (isNotFound(error)) return undefined;
        throw error;
      });
      return [direction, report];
    }),
  );
  return Object.fromEntries(reports.filter(([, report]) => report !== undefined));
}
