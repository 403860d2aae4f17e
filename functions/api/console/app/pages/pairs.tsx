import type { JSX } from 'preact';
import { allPairs } from '../../../../../shared/client/client.ts';
import type { PairView, TaskView } from '../../../../../shared/client/contract.ts';
import { duration } from '../../../../../shared/client/figures.ts';
import { usePoll } from '../load.ts';
import { Empty, Failure, Loading } from '../parts/notice.tsx';
import { Page } from '../parts/page.tsx';
import { Badge, State, waitsForForward } from '../parts/state.tsx';
import { href } from '../route.ts';
import { may } from '../session.ts';
import { isInSetup, isLive, placeOf } from '../words.ts';

const EVERY_MS = 2_000;

/** All pairs, with how their tasks are. */
export function PairsPage(): JSX.Element {
  const { value: pairs, error, again } = usePoll('pairs', EVERY_MS, allPairs);
  return (
    <Page
      title="Pairs"
      lead="Each joins two databases with a task in each direction."
      aside={
        may('admin') && (
          <a class="button primary" href={href('new')}>
            New pair
          </a>
        )
      }
    >
      {error !== undefined && <Failure error={error} onRetry={again} />}
      {!pairs && error === undefined && <Loading what="the pairs" />}
      {pairs?.length === 0 && (
        <Empty title="There is no pair yet">
          <p>Connect two databases, choose the tables, check, and start: this takes a few minutes.</p>
          {may('admin') && (
            <p>
              <a class="button primary" href={href('new')}>
                Create the first pair
              </a>
            </p>
          )}
        </Empty>
      )}
      {pairs && pairs.length > 0 && (
        <div class="table-box">
          <table>
            <caption class="unseen">Pairs and their tasks</caption>
            <thead>
              <tr>
                <th scope="col">Pair</th>
                <th scope="col">Side a</th>
                <th scope="col">Side b</th>
                <th scope="col">Forward, a to b</th>
                <th scope="col">Reverse, b to a</th>
              </tr>
            </thead>
            <tbody>
              {pairs.map((pair) => (
                <PairRow key={pair.id} pair={pair} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Page>
  );
}

function PairRow({ pair }: { pair: PairView }): JSX.Element {
  const { id, name, environment, sides, tasks, deleting } = pair;
  return (
    <tr>
      <th scope="row">
        <a class="strong" href={href('pairs', id)}>
          {name}
        </a>
        <div class="muted small">
          {id}
          {environment && ` · ${environment}`}
        </div>
        {deleting && <Badge tone="busy">Being deleted</Badge>}
        {isInSetup(pair) && !deleting && may('admin') && (
          <div class="small">
            <a href={href('pairs', id, 'setup')}>Continue the setup</a>
          </div>
        )}
      </th>
      <td>{placeOf(sides.a)}</td>
      <td>{placeOf(sides.b)}</td>
      <td>
        <TaskCell task={tasks.forward} />
      </td>
      <td>
        <TaskCell task={tasks.reverse} />
      </td>
    </tr>
  );
}

function TaskCell({ task }: { task: TaskView }): JSX.Element {
  const { state, status } = task;
  const copying = state === 'Initializing' && status?.copy;
  const latency = isLive(task) && !copying ? (status?.latencySeconds ?? null) : null;
  return (
    <>
      <State state={state} />
      <div class="muted small">
        {copying && `copy ${copying.percent.toFixed(1)} %`}
        {latency !== null && `latency ${duration(latency)}`}
        {waitsForForward(task) && 'starts by itself'}
      </div>
    </>
  );
}
