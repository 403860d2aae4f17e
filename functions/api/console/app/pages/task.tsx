import type { JSX } from 'preact';
import type { PairView } from '../../../../../shared/client/contract.ts';
import type { Direction } from '../../../../../shared/task/schema.ts';
import { useLivePair } from '../live.ts';
import { Failure, Loading } from '../parts/notice.tsx';
import { Page } from '../parts/page.tsx';
import { State } from '../parts/state.tsx';
import { href } from '../route.ts';
import { ConfigurationTab } from '../task/configuration.tsx';
import { ConflictsTab } from '../task/conflicts.tsx';
import { EventsTab } from '../task/events.tsx';
import { LimitsTab } from '../task/limits.tsx';
import { OverviewTab } from '../task/overview.tsx';
import { PrecheckTab } from '../task/precheck-tab.tsx';
import { destinationOf, nameOfTask, placeOf, sourceOf } from '../words.ts';

const tabs = ['overview', 'conflicts', 'events', 'precheck', 'limits', 'configuration'] as const;
type Tab = (typeof tabs)[number];
type TabProps = { readonly pair: PairView; readonly direction: Direction; readonly again: () => void };

const contents: Readonly<Record<Tab, (props: TabProps) => JSX.Element>> = {
  overview: OverviewTab,
  conflicts: ConflictsTab,
  events: EventsTab,
  precheck: PrecheckTab,
  limits: LimitsTab,
  configuration: ConfigurationTab,
};

/** One task in full. */
export function TaskPage({
  id,
  direction,
  tab,
}: {
  id: string;
  direction: Direction;
  tab: string | undefined;
}): JSX.Element {
  const { value: pair, error, again } = useLivePair(id);
  const chosen = tabs.find((name) => name === tab) ?? 'overview';
  const Content = contents[chosen];
  const task = pair?.tasks[direction];
  return (
    <Page
      title={`${nameOfTask[direction]}: ${chosen}`}
      trail={[
        { name: 'Pairs', to: href() },
        { name: pair?.name ?? 'Pair', to: href('pairs', id) },
      ]}
      lead={
        pair && (
          <>
            {placeOf(pair.sides[sourceOf(direction)])} <span aria-hidden="true">→</span>
            <span class="unseen">to</span> {placeOf(pair.sides[destinationOf(direction)])}
          </>
        )
      }
      aside={task && <State state={task.state} />}
    >
      <nav class="tabs" aria-label={nameOfTask[direction]}>
        {tabs.map((name) => (
          <a
            key={name}
            href={href('pairs', id, direction, name)}
            aria-current={name === chosen ? 'page' : undefined}
          >
            {name[0]!.toUpperCase() + name.slice(1)}
          </a>
        ))}
      </nav>
      {error !== undefined && <Failure error={error} onRetry={again} />}
      {!pair && error === undefined && <Loading what="the task" />}
      {pair && <Content pair={pair} direction={direction} again={again} />}
    </Page>
  );
}
