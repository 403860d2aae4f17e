import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { PairView } from '../../../../../shared/client/contract.ts';
import type { Endpoint } from '../../../../../shared/task/schema.ts';
import { useLivePair } from '../live.ts';
import { Button } from '../parts/button.tsx';
import { Confirm } from '../parts/dialog.tsx';
import { Failure, Loading, Notice } from '../parts/notice.tsx';
import { Page } from '../parts/page.tsx';
import { go, href } from '../route.ts';
import { api, may } from '../session.ts';
import { shownPair } from '../shown.ts';
import { TaskCard } from '../task/card.tsx';
import { directions, isInSetup, timeOf } from '../words.ts';

/** A pair: both databases and both tasks as they are now. */
export function PairPage({ id }: { id: string }): JSX.Element {
  const { value: pair, error, again } = useLivePair(id);
  const [asking, setAsking] = useState(false);
  return (
    <Page
      title={pair?.name ?? 'Pair'}
      trail={[{ name: 'Pairs', to: href() }]}
      lead={pair && <PairLead pair={pair} />}
      aside={
        pair && (
          <div class="row">
            {pair.tasks.forward.generation > 0 && (
              <>
                <a class="button" href={href('pairs', id, 'verification')}>
                  Verification
                </a>
                {may('operator') && (
                  <a class="button" href={href('pairs', id, 'cutover')}>
                    Cut-over
                  </a>
                )}
              </>
            )}
            <Button kind="quiet" needs="admin" onClick={() => setAsking(true)}>
              Delete pair…
            </Button>
          </div>
        )
      }
    >
      {error !== undefined && <Failure error={error} onRetry={again} />}
      {!pair && error === undefined && <Loading what="the pair" />}
      {pair && (
        <>
          {isInSetup(pair) && !pair.deleting && (
            <Notice tone="busy" title="The setup is not finished">
              <p>
                Nothing is synchronized yet.{' '}
                {may('admin') && <a href={href('pairs', id, 'setup')}>Continue the setup</a>}
              </p>
            </Notice>
          )}
          {pair.deleting && (
            <Notice tone="busy" title="The pair is being deleted">
              <p>It goes when both tasks are released: what was made in the databases is dropped first.</p>
            </Notice>
          )}
          <div class="sides">
            <SideCard side="a" endpoint={pair.sides.a} arbiter={pair.arbiter === 'a'} />
            <span class="sides-arrow" aria-hidden="true">
              ⇄
            </span>
            <SideCard side="b" endpoint={pair.sides.b} arbiter={pair.arbiter === 'b'} />
          </div>
          <div class="cards">
            {directions.map((direction) => (
              <TaskCard key={direction} pair={pair} task={pair.tasks[direction]} onDone={again} />
            ))}
          </div>
        </>
      )}
      {asking && pair && (
        <Confirm
          title={`Delete the pair ${pair.name}?`}
          confirm="Release both tasks and delete"
          danger
          onClose={() => setAsking(false)}
          shown={shownPair(pair)}
          onConfirm={async (guard) => {
            const left = await api().deletePair(id, guard);
            if (left === undefined) go();
            else again();
          }}
        >
          <p>
            Synchronization ends in both directions. Slots, publications, triggers, queues and the schema{' '}
            <code>pgtwin</code> are dropped on both sides. <strong>The tables and their rows stay</strong> on
            both.
          </p>
          <p>
            What can not be dropped, as when a database does not answer, is listed with the SQL to do it by
            hand.
          </p>
        </Confirm>
      )}
    </Page>
  );
}

function PairLead({ pair }: { pair: PairView }): JSX.Element {
  const { id, environment, createdAt, pool, shards } = pair;
  return (
    <>
      <code>{id}</code>
      {environment && ` · ${environment}`} · created {timeOf(createdAt)}
      {pool !== 'default' && ` · pool ${pool}`}
      {shards > 1 && ` · ${shards} shards`}
    </>
  );
}

function SideCard({
  side,
  endpoint,
  arbiter,
}: {
  side: string;
  endpoint: Endpoint;
  arbiter: boolean;
}): JSX.Element {
  const { database, host, port, user, tls, region } = endpoint;
  return (
    <section class="side" aria-label={`Side ${side}`}>
      <span class="side-mark" aria-hidden="true">
        {side}
      </span>
      <div>
        <div class="strong">{database}</div>
        <div class="muted small">
          {host}:{port} · {user} · {tls === 'disable' ? 'without TLS' : `TLS ${tls}`}
          {region && ` · ${region}`}
        </div>
        {arbiter && <div class="small">Arbiter: decides conflicts</div>}
      </div>
    </section>
  );
}
