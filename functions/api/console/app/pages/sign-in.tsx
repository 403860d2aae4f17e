import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { asPgtwinError } from '../../../../../shared/errors/pgtwin-error.ts';
import { Button } from '../parts/button.tsx';
import { TextField } from '../parts/field.tsx';
import { Failure, Notice } from '../parts/notice.tsx';
import { Page } from '../parts/page.tsx';
import { ended, signIn } from '../session.ts';

/** Asks for an API token. It is kept until the tab is closed. */
export function SignIn(): JSX.Element {
  const [given, setGiven] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(undefined);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await signIn(given.trim());
    } catch (thrown) {
      setError(thrown);
      setBusy(false);
    }
  };
  const refused = error !== undefined && asPgtwinError(error).code === 'unauthorized';
  return (
    <div class="narrow">
      <Page title="Sign in" lead="Two PostgreSQL databases, kept in step in both directions.">
        {ended.value && error === undefined && (
          <Notice tone="warn">
            <p>{ended.value}</p>
          </Notice>
        )}
        {refused && (
          <Notice tone="bad">
            <p>This is not a token of this service.</p>
          </Notice>
        )}
        {error !== undefined && !refused && <Failure error={error} />}
        <form class="card" onSubmit={(event) => void submit(event)}>
          <TextField
            label="API token"
            type="password"
            required
            autocomplete="current-password"
            value={given}
            onChange={setGiven}
            hint={
              <>
                On a local platform it is printed at the start, and kept in <code>.pgtwin/api-token</code>.
                The console forgets it when this tab is closed.
              </>
            }
          />
          <div class="row end">
            <Button type="submit" kind="primary" busy={busy}>
              Sign in
            </Button>
          </div>
        </form>
      </Page>
    </div>
  );
}
