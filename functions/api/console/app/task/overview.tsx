import type { JSX } from 'preact';
import type { PairView } from '../../../../../shared/client/contract.ts';
import type { Direction } from '../../../../../shared/task/schema.ts';
import { useHistory } from '../live.ts';
import { Facts } from '../parts/meter.tsx';
import { Empty } from '../parts/notice.tsx';
import { href } from '../route.ts';
import { may } from '../session.ts';
import { timeOf } from '../words.ts';
import { Actions } from './actions.tsx';
import { CopyTables } from './copy-tables.tsx';
import { CopyProgress, figuresOf, TaskNotices } from './figures.tsx';
import { LatencyPlot, RowsPlot } from './plots.tsx';

/** State, figures, plots, and the copy table by table. */
export function OverviewTab({
  pair,
  direction,
  again,
}: {
  pair: PairView;
  direction: Direction;
  again: () => void;
}): JSX.Element {
  const task = pair.tasks[direction];
  const { status, state, configured, generation, updatedAt, createdAt } = task;
  const history = useHistory(task);
  const copying = state === 'Initializing' && status?.copy ? status.copy : undefined;
  return (
    <>
      <TaskNotices pair={pair} task={task} />
      {!configured && (
        <Empty title="This task is not configured yet">
          {may('admin') && (
            <p>
              <a href={href('pairs', pair.id, 'setup', 'objects')}>Choose what it synchronizes</a>
            </p>
          )}
        </Empty>
      )}
      {status && (
        <section class="card" aria-label="Figures">
          {copying && <CopyProgress copy={copying} />}
          <Facts
            facts={[
              ...figuresOf(task),
              ['Run', String(generation)],
              ['Created', timeOf(createdAt)],
              ['Changed', timeOf(updatedAt)],
            ]}
          />
        </section>
      )}
      {status && state !== 'Released' && (
        <div class="plots">
          <div class="card">
            <LatencyPlot task={task} history={history} />
          </div>
          <div class="card">
            <RowsPlot task={task} history={history} />
          </div>
        </div>
      )}
      <Actions pair={pair} task={task} onDone={again} />
      {status?.copy && <CopyTables pair={pair.id} direction={direction} live={state === 'Initializing'} />}
    </>
  );
}
