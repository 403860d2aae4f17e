import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { PairView } from '../../../../../shared/client/contract.ts';
import type { Direction, TaskEvent } from '../../../../../shared/task/schema.ts';
import { useLoad } from '../load.ts';
import { Button } from '../parts/button.tsx';
import { Empty, Failure, Loading } from '../parts/notice.tsx';
import { State } from '../parts/state.tsx';
import { api } from '../session.ts';
import { timeOf } from '../words.ts';

const PAGE = 50;

/** What happened to a task, the newest first. Begins anew when the task changes. */
export function EventsTab({ pair, direction }: { pair: PairView; direction: Direction }): JSX.Element {
  const { version } = pair.tasks[direction];
  const { value, error, reload } = useLoad(`events ${pair.id} ${direction} ${version}`, (client) =>
    client.listEvents(pair.id, direction, { limit: PAGE }),
  );
  const [older, setOlder] = useState<{
    version: number;
    events: readonly TaskEvent[];
    next?: string | undefined;
  }>();
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<unknown>(undefined);
  const more = older?.version === version ? older : undefined;
  const events = [...(value?.events ?? []), ...(more?.events ?? [])];
  const next = more ? more.next : value?.next;
  const loadMore = async (): Promise<void> => {
    setBusy(true);
    setFailure(undefined);
    try {
      const page = await api().listEvents(pair.id, direction, { limit: PAGE, cursor: next });
      setOlder({ version, events: [...(more?.events ?? []), ...page.events], next: page.next });
    } catch (thrown) {
      setFailure(thrown);
    }
    setBusy(false);
  };
  return (
    <>
      {error !== undefined && <Failure error={error} onRetry={reload} />}
      {!value && error === undefined && <Loading what="the events" />}
      {value && events.length === 0 && <Empty title="Nothing has happened yet" />}
      {events.length > 0 && (
        <div class="table-box">
          <table>
            <caption class="unseen">Events, the newest first</caption>
            <thead>
              <tr>
                <th scope="col">Time</th>
                <th scope="col">From</th>
                <th scope="col">To</th>
                <th scope="col">By</th>
                <th scope="col">Why</th>
              </tr>
            </thead>
            <tbody>
              {events.map((event) => (
                <tr key={`${event.at} ${event.input} ${event.to}`}>
                  <td class="nowrap">
                    <time dateTime={event.at}>{timeOf(event.at)}</time>
                  </td>
                  <td>
                    <State state={event.from} />
                  </td>
                  <td>
                    <State state={event.to} />
                  </td>
                  <td>{event.actor}</td>
                  <td class="wide">{event.cause}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {failure !== undefined && <Failure error={failure} />}
      {next !== undefined && (
        <Button busy={busy} onClick={() => void loadMore()}>
          Show older ones
        </Button>
      )}
    </>
  );
}
