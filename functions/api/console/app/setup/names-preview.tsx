import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Configure } from '../../../../../shared/client/client.ts';
import { useLoad } from '../load.ts';
import { Button } from '../parts/button.tsx';
import { Empty, Failure, Loading } from '../parts/notice.tsx';
import type { Selection } from './selection.ts';

const SHOWN = 100;

/** How the tables and columns of the forward task will be called, as the API finds it today. */
export function NamesPreview({ pair, selection }: { pair: string; selection: Selection }): JSX.Element {
  const [asked, setAsked] = useState<Selection>();
  return (
    <details
      class="setting-group"
      onToggle={(event) => setAsked(event.currentTarget.open ? selection : undefined)}
    >
      <summary>Preview of the names on the destination</summary>
      {asked && (
        <>
          {asked !== selection && (
            <p>
              <Button onClick={() => setAsked(selection)}>Show it as it is now</Button>
            </p>
          )}
          <Names pair={pair} selection={asked} />
        </>
      )}
    </details>
  );
}

const nameOf = ({ schema, name }: { schema: string; name: string }): string => `${schema}.${name}`;

function Names({ pair, selection }: { pair: string; selection: Selection }): JSX.Element {
  const { value, error, reload } = useLoad(`names ${pair} ${JSON.stringify(selection)}`, (api) =>
    api.previewObjects(pair, { forward: { objects: selection as Configure['objects'] } }),
  );
  if (error !== undefined) return <Failure error={error} onRetry={reload} />;
  if (!value) return <Loading what="the names" />;
  const { tables } = value.forward;
  if (tables.length === 0) return <Empty title="No table is selected" />;
  return (
    <>
      <div class="table-box">
        <table>
          <caption class="unseen">Names on the destination</caption>
          <thead>
            <tr>
              <th scope="col">Table</th>
              <th scope="col">On the destination</th>
              <th scope="col">Columns with another name</th>
              <th scope="col" class="number">
                Columns
              </th>
            </tr>
          </thead>
          <tbody>
            {tables.slice(0, SHOWN).map(({ source, destination, columns }) => (
              <tr key={nameOf(source)}>
                <th scope="row">{nameOf(source)}</th>
                <td class={nameOf(source) === nameOf(destination) ? 'muted' : 'strong'}>
                  {nameOf(destination)}
                </td>
                <td>
                  {columns
                    .filter((column) => column.source !== column.destination)
                    .map((column) => `${column.source} → ${column.destination}`)
                    .join(', ')}
                </td>
                <td class="number">{columns.length}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {tables.length > SHOWN && <p class="muted">and {tables.length - SHOWN} more</p>}
    </>
  );
}
