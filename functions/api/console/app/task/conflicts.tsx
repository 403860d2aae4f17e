import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { ConflictFilter } from '../../../../../shared/client/client.ts';
import type { ConflictView, PairView } from '../../../../../shared/client/contract.ts';
import { conflictKinds } from '../../../../../shared/conflict/kinds.ts';
import { policyNames } from '../../../../../shared/conflict/policies/policy.ts';
import type { Direction } from '../../../../../shared/task/schema.ts';
import { fieldErrorsOf } from '../field-errors.ts';
import { useLoad } from '../load.ts';
import { Button } from '../parts/button.tsx';
import { SelectField, TextField } from '../parts/field.tsx';
import { Empty, Failure, Loading } from '../parts/notice.tsx';
import { Badge } from '../parts/state.tsx';
import { href } from '../route.ts';
import { api } from '../session.ts';
import { type Tone, timeOf } from '../words.ts';

const PAGE = 50;
const results = ['stopped', 'source', 'destination', 'merged', 'asked', 'incomplete', 'nothing'] as const;
type Filter = { schema: string; table: string; kind: string; policy: string; result: string; since: string };
const noFilter: Filter = { schema: '', table: '', kind: '', policy: '', result: '', since: '' };
const anyOf = (names: readonly string[]) => [
  { value: '', text: 'Any' },
  ...names.map((name) => ({ value: name, text: name })),
];

/** The conflict log of a task: filtered, page by page. */
export function ConflictsTab({ pair, direction }: { pair: PairView; direction: Direction }): JSX.Element {
  const [filter, setFilter] = useState(noFilter);
  const query = queryOf(filter);
  const { value, error, reload } = useLoad(
    `conflicts ${pair.id} ${direction} ${JSON.stringify(query)}`,
    (client) => client.listConflicts(pair.id, direction, { ...query, limit: PAGE }),
  );
  const [older, setOlder] = useState<{
    of: unknown;
    conflicts: readonly ConflictView[];
    next: string | undefined;
  }>();
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<unknown>(undefined);
  const more = older?.of === value ? older : undefined;
  const conflicts = [...(value?.conflicts ?? []), ...(more?.conflicts ?? [])];
  const next = more ? more.next : value?.next;
  const loadMore = async (): Promise<void> => {
    setBusy(true);
    setFailure(undefined);
    try {
      const page = await api().listConflicts(pair.id, direction, { ...query, limit: PAGE, cursor: next });
      setOlder({ of: value, conflicts: [...(more?.conflicts ?? []), ...page.conflicts], next: page.next });
    } catch (thrown) {
      setFailure(thrown);
    }
    setBusy(false);
  };
  const filtered = Object.values(filter).some((text) => text !== '');
  return (
    <>
      <Filters filter={filter} onChange={setFilter} error={error} onReload={reload} />
      {error !== undefined && <Failure error={error} onRetry={reload} />}
      {!value && error === undefined && <Loading what="the conflict log" />}
      {value && conflicts.length === 0 && (
        <Empty title={filtered ? 'No conflict fits the filter' : 'No conflicts'}>
          {!filtered && (
            <p>What both sides write to the same row without knowing of each other is listed here.</p>
          )}
        </Empty>
      )}
      {conflicts.length > 0 && <ConflictTable conflicts={conflicts} pair={pair.id} direction={direction} />}
      {failure !== undefined && <Failure error={failure} />}
      {next !== undefined && (
        <Button busy={busy} onClick={() => void loadMore()}>
          Show older ones
        </Button>
      )}
    </>
  );
}

function queryOf(filter: Filter): ConflictFilter {
  const { since, ...words } = filter;
  const given = Object.entries(words).filter(([, text]) => text !== '');
  const from = since === '' ? undefined : new Date(since);
  return {
    // The API says which words there are.
    ...(Object.fromEntries(given) as ConflictFilter),
    ...(from && !Number.isNaN(from.getTime()) ? { since: from.toISOString() } : {}),
  };
}

type FiltersProps = {
  readonly filter: Filter;
  readonly onChange: (filter: Filter) => void;
  readonly error: unknown;
  readonly onReload: () => void;
};

function Filters({ filter, onChange, error, onReload }: FiltersProps): JSX.Element {
  const errors = fieldErrorsOf(error).under('query');
  const set = (name: keyof Filter) => (value: string) => onChange({ ...filter, [name]: value });
  return (
    <search class="filters">
      <TextField
        label="Schema"
        path="schema"
        errors={errors}
        value={filter.schema}
        onChange={set('schema')}
      />
      <TextField label="Table" path="table" errors={errors} value={filter.table} onChange={set('table')} />
      <SelectField
        label="Kind"
        value={filter.kind}
        onChange={set('kind')}
        options={anyOf([...conflictKinds, 'unsure'])}
      />
      <SelectField
        label="Policy"
        value={filter.policy}
        onChange={set('policy')}
        options={anyOf([...policyNames, 'chosen'])}
      />
      <SelectField label="Result" value={filter.result} onChange={set('result')} options={anyOf(results)} />
      <TextField
        label="Since"
        type="datetime-local"
        path="since"
        errors={errors}
        value={filter.since}
        onChange={set('since')}
      />
      <div class="row">
        <Button kind="quiet" onClick={() => onChange(noFilter)}>
          Clear
        </Button>
        <Button onClick={onReload}>Refresh</Button>
      </div>
    </search>
  );
}

export const toneOfResult = (result: string): Tone =>
  result === 'stopped' || result === 'incomplete' ? 'bad' : result === 'asked' ? 'busy' : 'neutral';

function ConflictTable({
  conflicts,
  pair,
  direction,
}: {
  conflicts: readonly ConflictView[];
  pair: string;
  direction: Direction;
}): JSX.Element {
  return (
    <div class="table-box">
      <table>
        <caption class="unseen">Conflicts, the newest first</caption>
        <thead>
          <tr>
            <th scope="col">Conflict</th>
            <th scope="col">Time</th>
            <th scope="col">Table</th>
            <th scope="col">Key</th>
            <th scope="col">Kind</th>
            <th scope="col">Policy</th>
            <th scope="col">Result</th>
          </tr>
        </thead>
        <tbody>
          {conflicts.map((conflict) => (
            <tr key={conflict.id}>
              <th scope="row">
                <a href={href('pairs', pair, direction, 'conflicts', conflict.id)}>#{conflict.id}</a>
              </th>
              <td class="nowrap">
                <time dateTime={conflict.at}>{timeOf(conflict.at)}</time>
              </td>
              <td>
                {conflict.schema}.{conflict.table}
              </td>
              <td class="mono">{keyText(conflict.key)}</td>
              <td>
                <code>{conflict.kind}</code>
              </td>
              <td>{conflict.policy}</td>
              <td>
                <Badge tone={toneOfResult(conflict.result)}>{conflict.result}</Badge>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** `id=3, part=7`; viewers are shown no keys. */
export const keyText = (key: unknown): string =>
  typeof key === 'object' && key !== null
    ? Object.entries(key)
        .map(([name, value]) => `${name}=${String(value)}`)
        .join(', ')
    : '';
