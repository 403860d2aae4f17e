import type { JSX } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { CatalogTable } from '../../../../../shared/client/contract.ts';
import { bytes, count } from '../../../../../shared/client/figures.ts';
import { Button } from '../parts/button.tsx';
import { TextArea, TextField } from '../parts/field.tsx';
import { Empty, Notice } from '../parts/notice.tsx';
import { Badge } from '../parts/state.tsx';
import { counted } from '../words.ts';
import {
  entriesOf,
  everything,
  isEverything,
  linesOf,
  type Selection,
  selectedOf,
  withEntries,
  withSchema,
  withTable,
} from './selection.ts';

/** So many tables of a schema are drawn at first: 5,000 inputs are slow. */
const SHOWN = 100;

type Props = {
  /** Tells apart several pickers of one page. */
  readonly name: string;
  readonly tables: readonly CatalogTable[];
  readonly selection: Selection;
  readonly onChange: (selection: Selection) => void;
};

/** Chooses schemas and tables, by name, by pattern, or all. */
export function Picker({ name, tables, selection, onChange }: Props): JSX.Element {
  const [search, setSearch] = useState('');
  const selected = useMemo(() => new Set(selectedOf(selection, tables)), [selection, tables]);
  const all = isEverything(selection) && (selection.exclude ?? []).length === 0;
  const wanted = search.trim().toLowerCase();
  const found = useMemo(
    () => tables.filter((table) => `${table.schema}.${table.name}`.toLowerCase().includes(wanted)),
    [tables, wanted],
  );
  const schemas = [...new Set(found.map(({ schema }) => schema))];
  const rows = [...selected].reduce((sum, table) => sum + table.rowsEstimated, 0);
  const size = [...selected].reduce((sum, table) => sum + table.sizeBytes, 0);
  const keyless = [...selected].filter((table) => table.key === null);
  return (
    <div class="picker">
      <div class="filters">
        <TextField
          label={`Search the tables of the ${name} task`}
          type="search"
          value={search}
          onChange={setSearch}
        />
        <label class="choice">
          <input
            type="checkbox"
            checked={all}
            onChange={(event) =>
              onChange(withEntries(selection, event.currentTarget.checked ? everything.include : []))
            }
          />
          <span>
            Everything
            <span class="hint">Every schema, with the tables that are made later.</span>
          </span>
        </label>
      </div>
      <p role="status" class="muted">
        {counted(selected.size, 'table')} of {count(tables.length)} selected, about {count(rows)} rows,{' '}
        {bytes(size)}
      </p>
      {keyless.length > 0 && (
        <Notice tone="warn">
          <p>
            {counted(keyless.length, 'selected table')} without a primary or usable unique key can not be
            synchronized: the precheck will say so.
          </p>
        </Notice>
      )}
      {tables.length === 0 && (
        <Empty title="This database has no tables yet">
          <p>With “Everything” those that are made later are synchronized.</p>
        </Empty>
      )}
      {tables.length > 0 && schemas.length === 0 && <Empty title="No table has this in its name" />}
      {schemas.map((schema) => (
        <Schema
          key={schema}
          schema={schema}
          tables={found.filter((table) => table.schema === schema)}
          open={schemas.length === 1 || wanted !== ''}
          {...{ selection, selected, onChange }}
        />
      ))}
      <Patterns selection={selection} onChange={onChange} />
    </div>
  );
}

type SchemaProps = Omit<Props, 'name'> & {
  readonly schema: string;
  readonly selected: ReadonlySet<CatalogTable>;
  readonly open: boolean;
};

function Schema({ schema, tables, selected, selection, open, onChange }: SchemaProps): JSX.Element {
  const [shown, setShown] = useState(SHOWN);
  const box = useRef<HTMLInputElement>(null);
  const taken = tables.filter((table) => selected.has(table)).length;
  const partly = taken > 0 && taken < tables.length;
  useEffect(() => {
    if (box.current) box.current.indeterminate = partly;
  }, [partly]);
  return (
    <div class="schema">
      <input
        type="checkbox"
        ref={box}
        class="schema-check"
        aria-label={`All tables of the schema ${schema}`}
        checked={taken === tables.length}
        onChange={(event) => onChange(withSchema(selection, schema, event.currentTarget.checked))}
      />
      <details open={open}>
        <summary>
          <span class="strong">{schema}</span>{' '}
          <span class="muted">
            {taken} of {counted(tables.length, 'table')}
          </span>
        </summary>
        <ul class="tables">
          {tables.slice(0, shown).map((table) => (
            <li key={table.name}>
              <label class="choice">
                <input
                  type="checkbox"
                  checked={selected.has(table)}
                  onChange={(event) => onChange(withTable(selection, table, event.currentTarget.checked))}
                />
                <span class="table-name">{table.name}</span>
                <span class="muted small">
                  {count(table.rowsEstimated)} rows, {bytes(table.sizeBytes)}
                </span>
                {table.key === null && <Badge tone="warn">no key</Badge>}
              </label>
            </li>
          ))}
        </ul>
        {tables.length > shown && (
          <Button kind="quiet" onClick={() => setShown(shown + 500)}>
            {`Show more of ${schema}`}
          </Button>
        )}
      </details>
    </div>
  );
}

function Patterns({ selection, onChange }: Pick<Props, 'selection' | 'onChange'>): JSX.Element {
  return (
    <details class="patterns">
      <summary>Names and patterns as text</summary>
      <p class="hint">
        One on a line: <code>schema.table</code>, where <code>*</code> stands for any run of characters. What
        is left out wins.
      </p>
      <div class="two-columns">
        <Lines
          label="Take"
          entries={selection.include}
          onEntries={(include) => onChange(withEntries(selection, include, selection.exclude))}
        />
        <Lines
          label="Leave out"
          entries={selection.exclude ?? []}
          onEntries={(exclude) => onChange(withEntries(selection, selection.include, exclude))}
        />
      </div>
    </details>
  );
}

type LinesProps = {
  readonly label: string;
  readonly entries: Selection['include'];
  readonly onEntries: (entries: Selection['include']) => void;
};

/** Text that is being written need not be right at every moment. */
function Lines({ label, entries, onEntries }: LinesProps): JSX.Element {
  const [text, setText] = useState(linesOf(entries));
  const own = useRef(linesOf(entries));
  const outside = linesOf(entries);
  useEffect(() => {
    if (outside === own.current) return;
    own.current = outside;
    setText(outside);
  }, [outside]);
  const { wrong } = entriesOf(text);
  return (
    <TextArea
      label={label}
      rows={4}
      value={text}
      error={wrong === undefined ? undefined : `Line ${wrong} must be like shop.orders or shop.*`}
      onChange={(value) => {
        setText(value);
        const parsed = entriesOf(value);
        if (parsed.wrong !== undefined) return;
        own.current = linesOf(parsed.entries);
        onEntries(parsed.entries);
      }}
    />
  );
}
