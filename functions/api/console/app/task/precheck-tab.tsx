import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { PairView } from '../../../../../shared/client/contract.ts';
import { asPgtwinError } from '../../../../../shared/errors/pgtwin-error.ts';
import type { Direction } from '../../../../../shared/task/schema.ts';
import { useLoad } from '../load.ts';
import { Button } from '../parts/button.tsx';
import { Empty, Failure, Loading } from '../parts/notice.tsx';
import { api } from '../session.ts';
import { Report } from './precheck-report.tsx';

/** The newest report of a task, and a new one where the state allows it. */
export function PrecheckTab({
  pair,
  direction,
  again,
}: {
  pair: PairView;
  direction: Direction;
  again: () => void;
}): JSX.Element {
  const task = pair.tasks[direction];
  const { value, error, replace, reload } = useLoad(`precheck ${task.id}`, (client) =>
    client.getPrecheck(pair.id, direction).catch((thrown: unknown) => {
      if (asPgtwinError(thrown).code === 'not-found') return null;
      throw thrown;
    }),
  );
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<unknown>(undefined);
  const run = async (): Promise<void> => {
    setBusy(true);
    setFailure(undefined);
    try {
      replace(await api().precheckTask(pair.id, direction));
    } catch (thrown) {
      setFailure(thrown);
    }
    setBusy(false);
    again();
  };
  const allowed = task.allowedActions.includes('precheck') && task.configured;
  return (
    <>
      {error !== undefined && <Failure error={error} onRetry={reload} />}
      {value === undefined && error === undefined && <Loading what="the report" />}
      {value === null && <Empty title="This task has not been prechecked yet" />}
      {allowed && (
        <p>
          <Button kind="primary" needs="operator" busy={busy} onClick={() => void run()}>
            {value ? 'Run it again' : 'Run the precheck'}
          </Button>
        </p>
      )}
      {failure !== undefined && <Failure error={failure} />}
      {value && <h2>Newest report</h2>}
      {value && (
        <Report
          pair={pair.id}
          direction={direction}
          report={value}
          onReport={(report) => {
            replace(report);
            again();
          }}
        />
      )}
    </>
  );
}
