import type { JSX } from 'preact';
import { count } from '../../../../../shared/client/figures.ts';
import type { VerificationView } from '../../../../../shared/client/verify-contract.ts';
import { useLoad } from '../load.ts';
import { Failure } from '../parts/notice.tsx';
import { Badge } from '../parts/state.tsx';
import { wordsOfName } from '../words.ts';

type Props = { readonly pair: string; readonly run: VerificationView };

const SHOWN = 200;
/** Read again when the run has moved on. */
const keyOf = ({ pair, run }: Props): string =>
  `${pair} ${run.id} ${run.status} ${run.tablesDone} ${run.updatedAt.slice(0, 18)}`;

/** The keys that differ. */
export function Differences(props: Props): JSX.Element | null {
  const { pair, run } = props;
  const { value, error, reload } = useLoad(`differences ${keyOf(props)}`, (client) =>
    client.listDifferences(pair, run.id, { limit: SHOWN }),
  );
  if (error !== undefined) return <Failure error={error} onRetry={reload} />;
  if (!value || value.differences.length === 0) return null;
  return (
    <section class="section" aria-labelledby="differences">
      <h2 id="differences">Rows that differ</h2>
      <div class="table-box">
        <table>
          <caption class="unseen">Rows that differ</caption>
          <thead>
            <tr>
              <th scope="col">Table</th>
              <th scope="col">Key</th>
              <th scope="col">What</th>
              <th scope="col">Columns</th>
              <th scope="col">State</th>
            </tr>
          </thead>
          <tbody>
            {value.differences.map(({ a, key, kind, columns, state, detail }) => (
              <tr key={`${a.schema}.${a.name} ${key?.join('\0')} ${kind}`}>
                <td>
                  {a.schema}.{a.name}
                </td>
                <td class="mono">{key?.join(', ') ?? 'not shown to this token'}</td>
                <td>{wordsOfName(kind)}</td>
                <td>{columns.join(', ')}</td>
                <td>
                  <Badge tone={state === 'open' ? 'warn' : state === 'refused' ? 'bad' : 'good'}>
                    {state}
                  </Badge>
                  {detail && <div class="muted small">{detail}</div>}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {value.next !== undefined && <p class="muted">The first {SHOWN} are shown; the API has all.</p>}
    </section>
  );
}

/** What was found table by table. */
export function TableReports(props: Props): JSX.Element | null {
  const { pair, run } = props;
  const { value, error, reload } = useLoad(`reports ${keyOf(props)}`, (client) =>
    client.listTableReports(pair, run.id, { limit: SHOWN }),
  );
  if (error !== undefined) return <Failure error={error} onRetry={reload} />;
  if (!value || value.tables.length === 0) return null;
  return (
    <section class="section" aria-labelledby="reports">
      <h2 id="reports">Table by table</h2>
      <div class="table-box">
        <table>
          <caption class="unseen">What was found table by table</caption>
          <thead>
            <tr>
              <th scope="col">Table</th>
              <th scope="col">Way</th>
              <th scope="col" class="number">
                Rows on a
              </th>
              <th scope="col" class="number">
                Rows on b
              </th>
              <th scope="col" class="number">
                Different
              </th>
              <th scope="col" class="number">
                Missing
              </th>
              <th scope="col">Notes</th>
            </tr>
          </thead>
          <tbody>
            {value.tables.map(({ number, a, way, counts, notes, skipped, error: failed }) => (
              <tr key={number}>
                <th scope="row">
                  {a.schema}.{a.name}
                </th>
                <td>{way}</td>
                <td class="number">{count(counts.rowsOnA)}</td>
                <td class="number">{count(counts.rowsOnB)}</td>
                <td class="number">{count(counts.different)}</td>
                <td class="number">{count(counts.missingOnA + counts.missingOnB)}</td>
                <td>
                  {failed && (
                    <>
                      <Badge tone="bad">Failed</Badge> {failed.detail}
                    </>
                  )}
                  {skipped && (
                    <>
                      <Badge tone="neutral">Skipped</Badge> {skipped}
                    </>
                  )}
                  {notes.join(' ')}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {value.next !== undefined && <p class="muted">The first {SHOWN} are shown; the API has all.</p>}
    </section>
  );
}
