import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { useLivePair } from '../live.ts';
import { Failure, Loading, Notice } from '../parts/notice.tsx';
import { Page } from '../parts/page.tsx';
import { href } from '../route.ts';
import { api } from '../session.ts';
import { ConnectStep } from './connect.tsx';
import { drafts, isSetUp, openDraft, type StepProps, scopeOf } from './draft.ts';
import { ObjectsStep } from './objects.tsx';
import { PrecheckStep } from './precheck.tsx';
import { SettingsStep } from './settings.tsx';
import { StartStep } from './start.tsx';
import { type Step, Steps, steps } from './steps.tsx';

const contents: Readonly<Record<Step, (props: StepProps) => JSX.Element>> = {
  connect: ConnectStep,
  objects: ObjectsStep,
  settings: SettingsStep,
  precheck: PrecheckStep,
  start: StartStep,
};
const titles: Readonly<Record<Step, string>> = {
  connect: 'Connect',
  objects: 'Choose the objects',
  settings: 'Settings',
  precheck: 'Precheck',
  start: 'Review and start',
};

/** The procedure of a pair, step by step. */
export function SetupPage({ id, step }: { id: string; step: string | undefined }): JSX.Element {
  const { value: pair, error, again } = useLivePair(id);
  const [failure, setFailure] = useState<unknown>(undefined);
  const draft = drafts.value[id];
  const known = pair !== undefined;
  // The draft is begun once
  useEffect(() => {
    if (pair && !draft) openDraft(api(), pair).catch(setFailure);
  }, [known, draft]);
  const chosen = steps.find((name) => name === step) ?? 'connect';
  const Content = contents[chosen];
  const closed = pair && isSetUp(pair);
  return (
    <Page
      key={chosen}
      title={titles[chosen]}
      trail={[
        { name: 'Pairs', to: href() },
        { name: pair?.name ?? 'Pair', to: href('pairs', id) },
      ]}
    >
      <Steps current={chosen} pair={id} />
      {error !== undefined && <Failure error={error} onRetry={again} />}
      {failure !== undefined && <Failure error={failure} />}
      {error === undefined && failure === undefined && !(pair && draft) && <Loading what="the setup" />}
      {closed && (
        <Notice tone="neutral" title="Both tasks were started">
          <p>
            Their configuration stays as it is. <a href={href('pairs', id)}>See how they are</a>
          </p>
        </Notice>
      )}
      {pair && draft && !closed && <Content pair={pair} draft={draft} scope={scopeOf(pair)} again={again} />}
    </Page>
  );
}
