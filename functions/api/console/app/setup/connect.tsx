import type { JSX } from 'preact';
import type { Connectivity } from '../../../../../shared/client/contract.ts';
import type { Endpoint } from '../../../../../shared/task/schema.ts';
import { useLoad } from '../load.ts';
import { Button } from '../parts/button.tsx';
import { Facts } from '../parts/meter.tsx';
import { Failure, Loading, Notice } from '../parts/notice.tsx';
import { Badge } from '../parts/state.tsx';
import { go } from '../route.ts';
import type { StepProps } from './draft.ts';

/** Logs in to both databases again, and says what it met. */
export function ConnectStep({ pair }: StepProps): JSX.Element {
  const { value, error, loading, reload } = useLoad(`connectivity ${pair.id}`, (api) =>
    api.testConnectivity(pair.id, 'forward'),
  );
  return (
    <>
      {error !== undefined && <Failure error={error} onRetry={reload} />}
      {!value && error === undefined && <Loading what="both databases" />}
      {value && (
        <div class="cards">
          <SideResult side="a" endpoint={pair.sides.a} result={value.source} />
          <SideResult side="b" endpoint={pair.sides.b} result={value.destination} />
        </div>
      )}
      <div class="row end">
        <Button busy={loading && value !== undefined} onClick={reload}>
          Test again
        </Button>
        <Button kind="primary" onClick={() => go('pairs', pair.id, 'setup', 'objects')}>
          Choose the objects
        </Button>
      </div>
    </>
  );
}

function SideResult({
  side,
  endpoint,
  result,
}: {
  side: string;
  endpoint: Endpoint;
  result: Connectivity;
}): JSX.Element {
  const { host, port, database, user, tls } = endpoint;
  const { ok, milliseconds, serverVersion, encrypted, problem } = result;
  return (
    <section class="card" aria-label={`Side ${side}`}>
      <div class="card-head">
        <h2>
          <span class="side-mark" aria-hidden="true">
            {side}
          </span>
          {database}
        </h2>
        <Badge tone={ok ? 'good' : 'bad'}>{ok ? 'Connected' : 'No connection'}</Badge>
      </div>
      <Facts
        facts={[
          ['Server', `${host}:${port}`],
          ['User', user],
          ['TLS', encrypted === undefined ? tls : encrypted ? `encrypted (${tls})` : 'not encrypted'],
          ...(serverVersion ? ([['PostgreSQL', serverVersion]] as const) : []),
          ['Answered in', `${milliseconds} ms`],
        ]}
      />
      {problem && (
        <Notice tone="bad" title={problem.title}>
          <p class="pre">{problem.detail}</p>
          <p class="muted">{problem.advice}</p>
        </Notice>
      )}
    </section>
  );
}
