import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Direction } from '../../../../../shared/task/schema.ts';
import { type FieldErrors, fieldErrorsOf } from '../field-errors.ts';
import { useLoad } from '../load.ts';
import { Button } from '../parts/button.tsx';
import { Changes } from '../parts/changes.tsx';
import { ErrorSummary } from '../parts/error-summary.tsx';
import { CheckField } from '../parts/field.tsx';
import { Failure, Loading } from '../parts/notice.tsx';
import { go, href } from '../route.ts';
import { api } from '../session.ts';
import { changedConfigs, isChangedMeanwhile } from '../shown.ts';
import { nameOfTask } from '../words.ts';
import { type Config, dropDraft, type StepProps, saveDraft, setDraft, setRefusal } from './draft.ts';
import { type JsonSchema, schemaNamed } from './json-schema.ts';
import { JsonField, SchemaField, withField } from './schema-form.tsx';

type Group = { readonly title: string; readonly fields: readonly string[]; readonly open?: true };
/** In the order in which a user comes to think of them; what is in none of these stands under "Further settings". */
const groups: readonly Group[] = [
  {
    title: 'What is carried over',
    open: true,
    fields: ['types', 'operations', 'excludeDdl', 'conflictingTables'],
  },
  {
    title: 'Conflicts',
    open: true,
    fields: [
      'conflictPolicy',
      'preferredSide',
      'fallbackPolicy',
      'onDeleted',
      'missingParent',
      'decide',
      'catchUpPolicy',
      'conflictLog',
      'resolver',
      'tablePolicies',
      'deltaColumns',
    ],
  },
  {
    title: 'Retries and WAL',
    fields: ['retryConnectionMinutes', 'retryOtherMinutes', 'failedSlotHours', 'walRetention'],
  },
  { title: 'Speed and limits', fields: ['limits', 'copyParallelism', 'chunkRows', 'synchronousCommit'] },
  { title: 'Alerts', fields: ['alerts'] },
];
/** They have places of their own. */
const elsewhere: readonly string[] = ['objects', 'autoStart', 'sides'];

/** How each task goes about it. Saved when one goes on. */
export function SettingsStep({ pair, draft, scope, again }: StepProps): JSX.Element {
  const {
    value: schema,
    error,
    reload,
  } = useLoad('schema', async (client) => schemaNamed(await client.openApi(), 'Configure'));
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState<unknown>(undefined);
  const [changes, setChanges] = useState<readonly string[]>();
  const hasReverse =
    scope === 'reverse' || (draft.reverseObjects !== undefined && draft.reverseObjects !== 'later');
  const ownReverse = scope === 'reverse' || (hasReverse && !draft.sameSettings);
  const errors = fieldErrorsOf(refused);
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setRefused(undefined);
    setChanges(undefined);
    try {
      const stored = await saveDraft(api(), pair.id, scope, draft);
      setDraft(pair.id, { ...draft, stored });
      again();
      go('pairs', pair.id, 'setup', 'precheck');
      setRefusal(pair.id, undefined);
    } catch (thrown) {
      if (isChangedMeanwhile(thrown))
        setChanges(await changedConfigs(api(), pair.id, draft.stored).catch(() => []));
      setRefused(thrown);
      setRefusal(pair.id, thrown);
      setBusy(false);
    }
  };
  if (error !== undefined) return <Failure error={error} onRetry={reload} />;
  if (!schema) return <Loading what="what can be set" />;
  const change = (direction: Direction) => (config: Config) =>
    setDraft(pair.id, { ...draft, [direction]: config });
  return (
    <form onSubmit={(event) => void save(event)} noValidate>
      {changes ? (
        <>
          <Changes changes={changes} then="What you have changed here is not stored." />
          <p>
            <Button onClick={() => dropDraft(pair.id)}>Drop my changes and load what is stored</Button>
          </p>
        </>
      ) : (
        <ErrorSummary error={refused} />
      )}
      {errors.all.some(({ field }) => /(^|[.])objects([.]|$)/.test(field)) && (
        <p>
          <a href={href('pairs', pair.id, 'setup', 'objects')}>Go back to the objects</a>
        </p>
      )}
      {scope === 'both' && (
        <TaskSettings
          direction="forward"
          schema={schema}
          config={draft.forward}
          errors={errors.under('forward')}
          onChange={change('forward')}
        />
      )}
      {scope === 'both' && hasReverse && (
        <div class="card">
          <CheckField
            label="The reverse task has the same settings"
            value={draft.sameSettings}
            onChange={(sameSettings) =>
              setDraft(pair.id, {
                ...draft,
                sameSettings,
                ...(sameSettings ? {} : { reverse: { ...draft.forward, objects: draft.reverse.objects } }),
              })
            }
          />
        </div>
      )}
      {ownReverse && (
        <TaskSettings
          direction="reverse"
          schema={schema}
          config={draft.reverse}
          errors={scope === 'reverse' ? errors : errors.under('reverse')}
          onChange={change('reverse')}
        />
      )}
      <div class="row end">
        <Button type="submit" kind="primary" busy={busy}>
          Save and check
        </Button>
      </div>
    </form>
  );
}

type SettingsProps = {
  readonly direction: Direction;
  readonly schema: JsonSchema;
  readonly config: Config;
  readonly errors: FieldErrors;
  readonly onChange: (config: Config) => void;
};

/** A resolver is asked for where something uses one. */
const isWanted = (name: string, config: Config): boolean =>
  name !== 'resolver' || config['resolver'] !== undefined || config['conflictPolicy'] === 'resolver';

function TaskSettings({ direction, schema, config, errors, onChange }: SettingsProps): JSX.Element {
  const properties = schema.properties ?? {};
  const placed = new Set([...elsewhere, ...groups.flatMap(({ fields }) => fields)]);
  const rest = Object.keys(properties).filter((name) => !placed.has(name));
  const all: readonly Group[] = [...groups, { title: 'Further settings', fields: rest }];
  return (
    <section class="card settings" aria-labelledby={`settings-${direction}`}>
      <h2 id={`settings-${direction}`}>{nameOfTask[direction]}</h2>
      {all.map(({ title, fields, open }) => {
        const known = fields.filter((name) => name in properties && isWanted(name, config));
        const wrong = known.some((name) =>
          errors.all.some(({ field }) => field === name || field.startsWith(`${name}.`)),
        );
        return (
          known.length > 0 && (
            <details key={title} class="setting-group" open={open || wrong}>
              <summary>{title}</summary>
              <div class="fields">
                {known.map((name) => (
                  <SchemaField
                    key={name}
                    name={name}
                    schema={properties[name]!}
                    value={config[name]}
                    path={name}
                    errors={errors}
                    onChange={(value) => onChange(withField(config, name, value) as Config)}
                  />
                ))}
              </div>
            </details>
          )
        );
      })}
      <details class="setting-group">
        <summary>Everything as JSON</summary>
        <JsonField
          label={`Configuration of the ${nameOfTask[direction].toLowerCase()}`}
          hint="What the API takes; what is left out has its default."
          rows={16}
          value={config}
          onChange={(value) => {
            if (typeof value === 'object' && value !== null) onChange({ objects: config.objects, ...value });
          }}
        />
      </details>
    </section>
  );
}
