import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { LoadLimits } from '../../../../../shared/client/client.ts';
import type { PairView } from '../../../../../shared/client/contract.ts';
import type { Direction } from '../../../../../shared/task/schema.ts';
import { announce } from '../announce.ts';
import { type FieldErrors, fieldErrorsOf } from '../field-errors.ts';
import { useLoad } from '../load.ts';
import { Button } from '../parts/button.tsx';
import { ErrorSummary } from '../parts/error-summary.tsx';
import { TextField } from '../parts/field.tsx';
import { Empty, Failure, Loading, Notice } from '../parts/notice.tsx';
import { api } from '../session.ts';
import { wordsOfName } from '../words.ts';

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
  const { value, error, reload, replace } = useLoad(`limits ${task.id}`, (client) =>
    client.getLimits(pair.id, direction),
  );
  const [changed, setChanged] = useState<LoadLimits>();
  const [busy, setBusy] = useState(false);
  const [saved, setSaved] = useState(false);
  const [refused, setRefused] = useState<unknown>(undefined);
  const shown = changed ?? value;
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!shown) return;
    setBusy(true);
    setRefused(undefined);
    try {
      replace(await api().changeLimits(pair.id, direction, shown, { ifMatch: `"${task.version}"` }));
      setChanged(undefined);
      setSaved(true);
      announce('The limits were changed.');
      again();
    } catch (thrown) {
      setRefused(thrown);
    }
    setBusy(false);
  };
  const change = (next: LoadLimits): void => {
    setChanged(next);
    setSaved(false);
  };
  if (!task.configured) return <Empty title="This task is not configured yet" />;
  return (
    <>
      {error !== undefined && <Failure error={error} onRetry={reload} />}
      {!shown && error === undefined && <Loading what="the limits" />}
      {shown && (
        <form onSubmit={(event) => void save(event)} noValidate>
          <ErrorSummary error={refused} />
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
            <Button kind="quiet" onClick={() => setChanged(undefined)}>
              Take back
            </Button>
            <Button
              type="submit"
              kind="primary"
              needs="operator"
              busy={busy}
              disabled={changed === undefined}
            >
              Change the limits
            </Button>
          </div>
        </form>
      )}
    </>
  );
}

type PartProps = {
  readonly part: keyof LoadLimits;
  readonly title: string;
  readonly limits: LoadLimits;
  readonly errors: FieldErrors;
  readonly onChange: (limits: LoadLimits) => void;
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
          onChange={(text) =>
            onChange({ ...limits, [part]: { ...limits[part], [name]: text === '' ? null : Number(text) } })
          }
        />
      ))}
    </fieldset>
  );
}
