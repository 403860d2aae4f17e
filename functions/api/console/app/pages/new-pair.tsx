import type { JSX } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { fieldErrorsOf } from '../field-errors.ts';
import { Button } from '../parts/button.tsx';
import { ErrorSummary } from '../parts/error-summary.tsx';
import { SelectField, TextField } from '../parts/field.tsx';
import { Page } from '../parts/page.tsx';
import { go, href } from '../route.ts';
import { api, newKey } from '../session.ts';
import { emptySide, SideFields, type SideForm, sideOf } from '../setup/side-fields.tsx';
import { Steps } from '../setup/steps.tsx';

/** First step of the procedure: both databases. Nothing is stored unless both answer. */
export function NewPairPage(): JSX.Element {
  const [name, setName] = useState('');
  const [environment, setEnvironment] = useState('');
  const [arbiter, setArbiter] = useState<'a' | 'b'>('b');
  const [shards, setShards] = useState('1');
  const [a, setA] = useState<SideForm>(emptySide);
  const [b, setB] = useState<SideForm>(emptySide);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(undefined);
  // The same form sent twice makes one pair.
  const sent = useRef({ body: '', key: '' });
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    const body = {
      ...(name.trim() ? { name: name.trim() } : {}),
      ...(environment.trim() ? { environment: environment.trim() } : {}),
      arbiter,
      // What is no number is refused by the API, beside the field.
      shards: Number(shards || '1'),
      sides: { a: sideOf(a), b: sideOf(b) },
    };
    const text = JSON.stringify(body);
    if (sent.current.body !== text) sent.current = { body: text, key: newKey() };
    try {
      const pair = await api().createPair(body, sent.current.key);
      go('pairs', pair.id, 'setup', 'connect');
    } catch (thrown) {
      // A key stands for its answer too: the next try is a new one.
      sent.current = { body: '', key: '' };
      setError(thrown);
      setBusy(false);
    }
  };
  const errors = fieldErrorsOf(error);
  return (
    <Page
      title="New pair"
      trail={[{ name: 'Pairs', to: href() }]}
      lead="Two databases, one on each side. Both are visited at once."
    >
      <Steps current="connect" />
      <form onSubmit={(event) => void submit(event)}>
        <ErrorSummary error={error} />
        <div class="card two-columns">
          <TextField
            label="Name"
            path="name"
            errors={errors}
            value={name}
            onChange={setName}
            hint="Need not be unique; assigned if left out."
          />
          <TextField
            label="Environment"
            path="environment"
            errors={errors}
            value={environment}
            onChange={setEnvironment}
            hint="A label, such as production. May be left out."
          />
        </div>
        <div class="cards">
          <SideFields
            side="a"
            title="Side a"
            lead="Source of the forward task."
            form={a}
            onChange={setA}
            errors={errors.under('sides.a')}
          />
          <SideFields
            side="b"
            title="Side b"
            lead="Destination of the forward task."
            form={b}
            onChange={setB}
            errors={errors.under('sides.b')}
          />
        </div>
        <div class="card two-columns">
          <SelectField
            label="Which side decides conflicts"
            path="arbiter"
            errors={errors}
            value={arbiter}
            onChange={(value) => setArbiter(value === 'a' ? 'a' : 'b')}
            options={[
              { value: 'b', text: 'Side b' },
              { value: 'a', text: 'Side a' },
            ]}
            hint="The arbiter is not favoured: it is only where the decision is made. Both sides end identical."
          />
          <TextField
            label="Shards"
            type="number"
            min={1}
            max={16}
            path="shards"
            errors={errors}
            value={shards}
            onChange={setShards}
            hint="1 keeps transactions whole. With up to 16, rows are applied side by side, faster on larger servers, and transactions are seen in parts. Can not be changed later."
          />
        </div>
        <div class="row end">
          <Button type="submit" kind="primary" busy={busy}>
            {busy ? 'Connecting to both…' : 'Connect and continue'}
          </Button>
        </div>
      </form>
    </Page>
  );
}
