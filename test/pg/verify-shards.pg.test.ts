import { expect, test } from 'vitest';
import { startMonitor } from '../../infra/local/monitor.ts';
import type { VerificationView } from '../../shared/client/verify-contract.ts';
import { openPlatform, openTwin } from '../support/twin.ts';
import { until } from '../support/wait.ts';

const schema = /* sql */ `
  create table item (id int primary key, n int not null default 0);
  insert into item select g, 0 from generate_series(1, 1000) g;
  create table code (id int primary key, v int unique);
  insert into code select g, g from generate_series(1, 100) g`;

test('with several shards a verification waits for all of them while both sides write, and a repair arrives', async () => {
  await using on = await openPlatform();
  const monitor = startMonitor({ env: on.platform.env, everyMs: 1_000, onLine: () => {} });
  try {
    await using twin = await openTwin(on, { schema, shards: 4 });
    await twin.settle();
    const ended = async (options: object): Promise<VerificationView> => {
      const runs = `/v1/pairs/${twin.pair}/verifications`;
      const { id } = await on.call<VerificationView>('POST', runs, options);
      return until(
        'the verification to end',
        async (saw) => {
          const run = await on.call<VerificationView>('GET', `${runs}/${id}`);
          saw(run);
          return run.status !== 'verifying' && run.status !== 'repairing' && run;
        },
        { timeoutMs: 60_000 },
      );
    };
    let stopped = false;
    const writing = [twin.a, twin.b].map(async (side, at) => {
      for (let n = 0; !stopped; n++)
        await side.query('update item set n = n + 1 where id between $1 and $1 + 20', [
          1 + at * 500 + (n % 400),
        ]);
    });
    const clean = await ended({});
    stopped = true;
    await Promise.all(writing);
    expect(clean).toMatchObject({ status: 'finished', equal: true });
    await twin.settle();
    // What the stream takes for apply's own never leaves.
    await twin.b.superuserRows(/* sql */ `
      begin;
      set local session_replication_role = replica;
      update pgtwin.apply_progress set applied_at = now() where task = '${twin.pair}_f';
      update item set n = -1 where id % 100 = 0;
      delete from code where id <= 5;
      commit`);
    expect((await twin.differences()).length).toBeGreaterThan(0);
    const repaired = await ended({ repair: 'a' });
    expect(repaired).toMatchObject({ repair: { repaired: 15, refused: 0 } });
    await twin.settle();
    expect(await twin.differences()).toEqual([]);
    expect(await ended({})).toMatchObject({ status: 'finished', equal: true });
  } finally {
    await monitor.stop();
  }
});
