import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { ApiClient } from '../../../../../shared/client/client.ts';
import type { CatalogTable } from '../../../../../shared/client/contract.ts';
import type { Side } from '../../../../../shared/task/schema.ts';
import { fieldErrorsOf } from '../field-errors.ts';
import { useLoad } from '../load.ts';
import { Button } from '../parts/button.tsx';
import { Failure, Loading, Notice } from '../parts/notice.tsx';
import { go } from '../route.ts';
import { type ReverseObjects, refusals, type StepProps, setDraft } from './draft.ts';
import { schemaNamed } from './json-schema.ts';
import { mirrorNotes } from './mirror.ts';
import { NamesPreview } from './names-preview.tsx';
import { ObjectFields } from './object-fields.tsx';
import { Picker } from './picker.tsx';
import type { Selection } from './selection.ts';

/** Which tables each task synchronizes. */
export function ObjectsStep({ pair, draft, scope }: StepProps): JSX.Element {
  const here = useLoad(`tables ${pair.id} a`, (api) => allTables(api, pair.id, 'a'));
  const there = useLoad(`tables ${pair.id} b`, (api) => allTables(api, pair.id, 'b'));
  const described = useLoad('schema', async (api) => schemaNamed(await api.openApi(), 'Configure'));
  const [asked, setAsked] = useState(false);
  const error = here.error ?? there.error ?? described.error;
  const errors = fieldErrorsOf(refusals.value[pair.id]);
  const set = (part: Partial<typeof draft>): void => setDraft(pair.id, { ...draft, ...part });
  const setForward = (objects: Selection): void => set({ forward: { ...draft.forward, objects } });
  const setReverse = (objects: Selection): void => set({ reverse: { ...draft.reverse, objects } });
  const ofReverse = merged(there.value ?? [], here.value ?? []);
  const next = (): void => {
    setAsked(true);
    const chosen = scope === 'reverse' || draft.reverseObjects !== undefined;
    if (chosen) go('pairs', pair.id, 'setup', 'settings');
  };
  if (error !== undefined)
    return (
      <Failure
        error={error}
        onRetry={() => {
          here.reload();
          there.reload();
          described.reload();
        }}
      />
    );
  if (!here.value || !there.value || !described.value) return <Loading what="the tables of both databases" />;
  return (
    <>
      {scope === 'both' && (
        <section class="card" aria-labelledby="forward-objects">
          <h2 id="forward-objects">Forward task, a to b</h2>
          <Picker
            name="forward"
            tables={here.value}
            selection={draft.forward.objects}
            onChange={setForward}
          />
          <ObjectFields
            schema={described.value}
            selection={draft.forward.objects}
            errors={errors.under('forward')}
            onChange={setForward}
          />
          <NamesPreview pair={pair.id} selection={draft.forward.objects} />
        </section>
      )}
      <section class="card" aria-labelledby="reverse-objects">
        <h2 id="reverse-objects">Reverse task, b to a</h2>
        {scope === 'both' && (
          <ReverseChoice
            chosen={draft.reverseObjects}
            missing={asked}
            onChange={(reverseObjects) => set({ reverseObjects })}
          />
        )}
        {scope === 'both' &&
          draft.reverseObjects === 'same' &&
          mirrorNotes(draft.forward.objects).map((note) => (
            <p key={note} class="muted">
              {note}
            </p>
          ))}
        {(scope === 'reverse' || draft.reverseObjects === 'own') && (
          <>
            <Picker
              name="reverse"
              tables={ofReverse}
              selection={draft.reverse.objects}
              onChange={setReverse}
            />
            <ObjectFields
              schema={described.value}
              selection={draft.reverse.objects}
              errors={scope === 'reverse' ? errors : errors.under('reverse')}
              onChange={setReverse}
            />
          </>
        )}
      </section>
      <div class="row end">
        <Button kind="primary" onClick={next}>
          Continue to the settings
        </Button>
      </div>
    </>
  );
}

const choices: readonly { value: ReverseObjects; text: string; hint: string }[] = [
  {
    value: 'same',
    text: 'The same tables',
    hint: 'Mirrored both ways: both sides end identical, whatever is written. It starts by itself when the forward task runs.',
  },
  {
    value: 'own',
    text: 'Other tables',
    hint: 'Tables that only one task has go one way only, without the arbiter.',
  },
  { value: 'later', text: 'Not now', hint: 'It can be configured when the forward task runs.' },
];

type ChoiceProps = {
  readonly chosen: ReverseObjects | undefined;
  readonly missing: boolean;
  readonly onChange: (chosen: ReverseObjects) => void;
};

function ReverseChoice({ chosen, missing, onChange }: ChoiceProps): JSX.Element {
  const wrong = missing && chosen === undefined;
  return (
    <fieldset class="choices" aria-describedby={wrong ? 'reverse-missing' : undefined}>
      <legend>What it synchronizes back</legend>
      {choices.map(({ value, text, hint }) => (
        <label key={value} class="choice">
          <input
            type="radio"
            name="reverse-objects"
            value={value}
            checked={chosen === value}
            onChange={() => onChange(value)}
          />
          <span>
            {text}
            <span class="hint">{hint}</span>
          </span>
        </label>
      ))}
      {wrong && (
        <div id="reverse-missing">
          <Notice tone="bad">
            <p>Choose what the reverse task does. Nothing is taken over silently.</p>
          </Notice>
        </div>
      )}
    </fieldset>
  );
}

/** Every page of a database's tables. */
async function allTables(api: ApiClient, pair: string, side: Side): Promise<CatalogTable[]> {
  const tables: CatalogTable[] = [];
  let cursor: string | undefined;
  do {
    const page = await api.listTables(pair, side, { limit: 1000, ...(cursor ? { cursor } : {}) });
    tables.push(...page.tables);
    cursor = page.next;
  } while (cursor !== undefined);
  return tables;
}

/** Tables of the second list that the first has not: the forward task will make them there. */
function merged(first: readonly CatalogTable[], second: readonly CatalogTable[]): CatalogTable[] {
  const keyOf = ({ schema, name }: CatalogTable): string => `${schema}\0${name}`;
  const known = new Set(first.map(keyOf));
  return [...first, ...second.filter((table) => !known.has(keyOf(table)))].sort((one, other) =>
    keyOf(one) < keyOf(other) ? -1 : 1,
  );
}
