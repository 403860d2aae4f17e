import type { JSX } from 'preact';
import { useRef, useState } from 'preact/hooks';
import type { CopyTableView } from '../../../../../shared/client/contract.ts';
import { bytes, count, duration } from '../../../../../shared/client/figures.ts';
import type { Direction } from '../../../../../shared/task/schema.ts';
import { usePoll } from '../load.ts';
import { TextField } from '../parts/field.tsx';
import { Meter } from '../parts/meter.tsx';
import { Empty, Failure, Loading } from '../parts/notice.tsx';
import { Badge } from '../parts/state.tsx';

const SHOWN = 200;
/** Both databases are asked. */
const EVERY_MS = { live: 2_000, settled: 60_000 } as const;

/** The full copy table by table; those at work come first. */
export function CopyTables({
  pair,
  direction,
  live,
}: {
  pair: string;
  direction: Direction;
  live: boolean;
}): JSX.Element {
  const [search, setSearch] = useState('');
  const eta = useEta();
  const { value, error, again } = usePoll(
    `copy ${pair} ${direction} ${search}`,
    live ? EVERY_MS.live : EVERY_MS.settled,
    async (api) => {
      const page = await api.listCopy(pair, direction, { limit: 1000, ...(search ? { search } : {}) });
      eta.note(page.tables);
      return page;
    },
  );
  const order = { copying: 0, waiting: 1, done: 2 } as const;
  const tables = [...(value?.tables ?? [])].sort((one, other) => order[one.state] - order[other.state]);
  return (
    <section class="section" aria-labelledby="copy-heading">
      <h2 id="copy-heading">Full copy by table</h2>
      <div class="filters">
        <TextField label="Find a table" type="search" value={search} onChange={setSearch} />
      </div>
      {error !== undefined && <Failure error={error} onRetry={again} />}
      {!value && error === undefined && <Loading what="the tables" />}
      {value && tables.length === 0 && (
        <Empty title={search ? 'No table has this in its name' : 'No tables are copied'} />
      )}
      {tables.length > 0 && (
        <div class="table-box">
          <table>
            <caption class="unseen">Progress of the full copy</caption>
            <thead>
              <tr>
                <th scope="col">Table</th>
                <th scope="col">State</th>
                <th scope="col">Progress</th>
                <th scope="col" class="number">
                  Rows
                </th>
                <th scope="col" class="number">
                  Size
                </th>
                <th scope="col" class="number">
                  To go
                </th>
              </tr>
            </thead>
            <tbody>
              {tables.slice(0, SHOWN).map((table) => (
                <CopyRow key={`${table.schema}.${table.name}`} table={table} eta={eta.of(table)} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {(tables.length > SHOWN || value?.next) && (
        <p class="muted">
          The first {Math.min(SHOWN, tables.length)} are shown. Search for the others by name.
        </p>
      )}
    </section>
  );
}

const tones = { copying: 'busy', waiting: 'neutral', done: 'good' } as const;
const words = { copying: 'Copying', waiting: 'Waiting', done: 'Done' } as const;

function CopyRow({ table, eta }: { table: CopyTableView; eta: number | undefined }): JSX.Element {
  const { schema, name, state, percent, rowsDone, rowsEstimated, bytesEstimated } = table;
  return (
    <tr>
      <th scope="row">
        {schema}.{name}
      </th>
      <td>
        <Badge tone={tones[state]}>{words[state]}</Badge>
      </td>
      <td>
        <Meter label={`Copy of ${schema}.${name}`} percent={percent} />
      </td>
      <td class="number">
        {state === 'done' ? count(rowsDone) : `${count(rowsDone)} of about ${count(rowsEstimated)}`}
      </td>
      <td class="number">{bytes(bytesEstimated)}</td>
      <td class="number">{eta === undefined ? '' : duration(eta)}</td>
    </tr>
  );
}

/** Time to go by the pace seen since this page was opened. */
function useEta() {
  const first = useRef(new Map<string, { at: number; rows: number }>());
  const keyOf = ({ schema, name }: CopyTableView): string => `${schema}\0${name}`;
  return {
    note(tables: readonly CopyTableView[]): void {
      for (const table of tables)
        if (table.state === 'copying' && !first.current.has(keyOf(table)))
          first.current.set(keyOf(table), { at: performance.now(), rows: table.rowsDone });
    },
    of(table: CopyTableView): number | undefined {
      const seen = first.current.get(keyOf(table));
      if (!seen || table.state !== 'copying') return undefined;
      const rows = table.rowsDone - seen.rows;
      const seconds = (performance.now() - seen.at) / 1000;
      return rows > 0 && seconds > 2 ? ((table.rowsEstimated - table.rowsDone) / rows) * seconds : undefined;
    },
  };
}
