import type { JSX } from 'preact';
import type { ConflictDetail } from '../../../../../shared/client/contract.ts';
import { Facts } from '../parts/meter.tsx';
import { Notice } from '../parts/notice.tsx';
import { timeOf } from '../words.ts';

type Row = Readonly<Record<string, unknown>>;
const rowOf = (value: unknown): Row | undefined =>
  typeof value === 'object' && value !== null ? (value as Row) : undefined;

/** Both versions side by side, column by column; those that differ are marked, not by colour alone. */
export function Versions({ conflict }: { conflict: ConflictDetail }): JSX.Element {
  const { sourceRow, destinationRow, sourceHash, destinationHash } = conflict;
  if (sourceRow === undefined && destinationRow === undefined)
    return (
      <Notice tone="neutral">
        <p>Rows are shown to the roles operator and admin only.</p>
      </Notice>
    );
  const [source, destination] = [rowOf(sourceRow), rowOf(destinationRow)];
  if (!source && !destination && (sourceHash || destinationHash))
    return (
      <section class="card" aria-label="Hashes">
        <p class="muted">This task keeps no rows in its log, only their SHA-256.</p>
        <Facts
          facts={[
            ['Source', sourceHash ?? 'no row'],
            ['Destination', destinationHash ?? 'no row'],
          ]}
        />
      </section>
    );
  const columns = [...new Set([...Object.keys(source ?? {}), ...Object.keys(destination ?? {})])];
  const versionOf = (time: string | null, side: string | null): string =>
    [side ? `written on side ${side}` : undefined, time ? timeOf(time) : undefined]
      .filter(Boolean)
      .join(', ');
  return (
    <div class="table-box">
      <table class="versions">
        <caption class="unseen">Both versions, column by column</caption>
        <thead>
          <tr>
            <th scope="col">Column</th>
            <th scope="col">
              Source <div class="muted small">{versionOf(conflict.sourceTime, conflict.sourceSide)}</div>
            </th>
            <th scope="col">
              Destination{' '}
              <div class="muted small">{versionOf(conflict.destinationTime, conflict.destinationSide)}</div>
            </th>
          </tr>
        </thead>
        <tbody>
          {columns.map((column) => {
            const differs = source?.[column] !== destination?.[column];
            return (
              <tr key={column} class={differs ? 'differs' : undefined}>
                <th scope="row">
                  {column}
                  {differs && <span class="differs-mark"> differs</span>}
                </th>
                <td>
                  <Value row={source} column={column} />
                </td>
                <td>
                  <Value row={destination} column={column} />
                </td>
              </tr>
            );
          })}
          {columns.length === 0 && (
            <tr>
              <td colSpan={3}>No row on either side.</td>
            </tr>
          )}
        </tbody>
      </table>
    </div>
  );
}

function Value({ row, column }: { row: Row | undefined; column: string }): JSX.Element {
  if (!row) return <em class="muted">no row</em>;
  if (!(column in row)) return <em class="muted">not sent</em>;
  const value = row[column];
  if (value === null) return <em class="muted">null</em>;
  return <span class="mono pre">{typeof value === 'string' ? value : JSON.stringify(value)}</span>;
}
