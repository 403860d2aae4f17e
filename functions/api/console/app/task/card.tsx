import type { JSX } from 'preact';
import type { PairView, TaskView } from '../../../../../shared/client/contract.ts';
import { useHistory } from '../live.ts';
import { Facts } from '../parts/meter.tsx';
import { State, waitsForForward } from '../parts/state.tsx';
import { href } from '../route.ts';
import { may } from '../session.ts';
import { nameOfTask, wayOf } from '../words.ts';
import { Actions } from './actions.tsx';
import { CopyProgress, figuresOf, TaskNotices } from './figures.tsx';
import { LatencyPlot } from './plots.tsx';

/** One task on its pair's page. */
export function TaskCard({
  pair,
  task,
  onDone,
}: {
  pair: PairView;
  task: TaskView;
  onDone: () => void;
}): JSX.Element {
  const { direction, status, state } = task;
  const title = nameOfTask[direction];
  const history = useHistory(task);
  return (
    <section class="card task-card" aria-labelledby={`task-${direction}`}>
      <div class="card-head">
        <div>
          <h2 id={`task-${direction}`}>
            <a href={href('pairs', pair.id, direction)}>{title}</a>
          </h2>
          <p class="muted small">{wayOf(direction)}</p>
        </div>
        <State state={state} />
      </div>
      {!task.configured &&
        pair.tasks.forward.generation > 0 &&
        task.allowedActions.includes('configure') &&
        may('admin') && (
          <p>
            <a class="button primary" href={href('pairs', pair.id, 'setup', 'objects')}>
              Set up the {title.toLowerCase()}
            </a>
          </p>
        )}
      {waitsForForward(task) && <p class="muted">Starts by itself when the forward task runs.</p>}
      <TaskNotices pair={pair} task={task} />
      {state === 'Initializing' && status?.copy && <CopyProgress copy={status.copy} />}
      {status && <Facts facts={figuresOf(task)} />}
      {status && state !== 'Released' && <LatencyPlot task={task} history={history} />}
      <Actions pair={pair} task={task} onDone={onDone} />
      <ul class="links">
        {(['overview', 'conflicts', 'events', 'precheck', 'limits', 'configuration'] as const).map((tab) => (
          <li key={tab}>
            <a href={href('pairs', pair.id, direction, tab)} aria-label={`${title}: ${tab}`}>
              {tab[0]!.toUpperCase() + tab.slice(1)}
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}
