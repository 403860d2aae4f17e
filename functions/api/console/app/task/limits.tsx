import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { LoadLimits } from '../../../../../shared/client/client.ts';
import type { PairView } from '../../../../../shared/client/contract.ts';
import type { Direction } from '../../../../../shared/task/schema.ts';
import { announce } from '../announce.ts';
import { type FieldErrors, fieldErrorsOf } from '../field-errors.ts';
import { Button } from '../parts/button.tsx';
import { Changes } from '../parts/changes.tsx';
import { ErrorSummary } from '../parts/error-summary.tsx';
import { TextField } from '../parts/field.tsx';
import { Empty, Notice } from '../parts/notice.tsx';
import { api } from '../session.ts';
import { isChangedMeanwhile, type Shown, shownTask } from '../shown.ts';
import { wordsOfName } from '../words.ts';

/** Changes that are being made: what was shown when the first was, and the fields that were changed. */
type Begun = { readonly shown: Shown; readonly wanted: Wanted };
type Wanted = { readonly [P in keyof LoadLimits]?: Partial<LoadLimits[P]> };

/** Fields that are not changed here follow the task. */
const withWanted = ({ full, incremental }: LoadLimits, wanted: Wanted = {}): LoadLimits => ({
  full: { ...full, ...wanted.full },
  incremental: { ...incremental, ...wanted.incremental },
});

/** What the task may take from its source; changed while it runs. */
export function LimitsTab({
  pair,
  direction,
  again,
}: {
  pair: PairView;
  direction: Direction;
  again: () => void;
}): JSX.Element {
  const task = pair.tasks[direction];
  const { limits } = task;
  const [begun, setBegun] = useState<Begun>();
  const [busy, setBusy] = useState(false);
  const [saved, setSaved] = useState(false);
  const [refused, setRefused] = useState<unknown>(undefined);
  const [changes, setChanges] = useState<readonly string[]>();
  if (!task.configured || !limits) return <Empty title="This task is not configured yet" />;
  const shown = withWanted(limits, begun?.wanted);
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!begun) return;
    setBusy(true);
    setRefused(undefined);
    setChanges(undefined);
    try {
      await api().changeLimits(pair.id, direction, begun.wanted, { ifMatch: begun.shown.tag });
      setBegun(undefined);
      setSaved(true);
      announce('The limits were changed.');
    } catch (thrown) {
      await explain(thrown, begun).catch(setRefused);
    }
    again();
    setBusy(false);
  };
  const explain = async (thrown: unknown, { shown: before, wanted }: Begun): Promise<void> => {
    if (!isChangedMeanwhile(thrown)) throw thrown;
    const looked = await before.look(api());
    setBegun({ shown: looked.now, wanted });
    setChanges(looked.changes);
  };
  const change = (part: keyof LoadLimits, name: string, value: number | null): void => {
    const { shown: before = shownTask(task), wanted = {} } = begun ?? {};
    setBegun({ shown: before, wanted: { ...wanted, [part]: { ...wanted[part], [name]: value } } });
    setSaved(false);
  };
  const takeBack = (): void => {
    setBegun(undefined);
    setChanges(undefined);
  };
  return (
    <form onSubmit={(event) => void save(event)} noValidate>
      <ErrorSummary error={refused} />
      {changes && <Changes changes={changes} then="Send them again if they are still what you want." />}
      <p class="muted">
        They hold from the moment they are changed, also while the task runs. Empty: no limit.
      </p>
      <div class="cards">
        <Part
          part="full"
          title="Full copy"
          limits={shown}
          errors={fieldErrorsOf(refused)}
          onChange={change}
        />
        <Part
          part="incremental"
          title="Changes"
          limits={shown}
          errors={fieldErrorsOf(refused)}
          onChange={change}
        />
      </div>
      {saved && (
        <Notice tone="good">
          <p>The limits were changed.</p>
        </Notice>
      )}
      <div class="row end">
        <Button kind="quiet" onClick={takeBack}>
          Take back
        </Button>
        <Button type="submit" kind="primary" needs="operator" busy={busy} disabled={begun === undefined}>
          Change the limits
        </Button>
      </div>
    </form>
  );
}

type PartProps = {
  readonly part: keyof LoadLimits;
  readonly title: string;
  readonly limits: LoadLimits;
  readonly errors: FieldErrors;
  readonly onChange: (part: keyof LoadLimits, name: string, value: number | null) => void;
};

function Part({ part, title, limits, errors, onChange }: PartProps): JSX.Element {
  return (
    <fieldset class="card side-fields">
      <legend>{title}</legend>
      {Object.entries(limits[part]).map(([name, value]) => (
        <TextField
          key={name}
          label={wordsOfName(name)}
          type="number"
          min={1}
          path={`${part}.${name}`}
          errors={errors}
          value={value === null ? '' : String(value)}
          onChange={(text) => onChange(part, name, text === '' ? null : Number(text))}
        />
      ))}
    </fieldset>
  );
}
