import { expect, test } from 'vitest';
import { openLog } from '../../../shared/log/log.ts';
import { savePrepared } from '../../../shared/task/prepared.ts';
import type { Repository } from '../../../shared/task/repository.ts';
import { taskConfig, taskIdOf } from '../../../shared/task/schema.ts';
import type { Verification } from '../../../shared/verify/model.ts';
import { VerificationStore } from '../../../shared/verify/store.ts';
import { openTestApi, storePair } from '../../../test/support/api.ts';
import { readWatched } from '../watch.ts';
import { restarts } from './restarts.ts';

const why = { cause: 'test', actor: 'test' };
const config = taskConfig.parse({ objects: { include: [{ schema: 'public' }] } });
const pair = 'pair0001';
const [forward, reverse] = [taskIdOf(pair, 'forward'), taskIdOf(pair, 'reverse')];

/** A pair that was paused after it had run. */
async function paused() {
  const api = openTestApi();
  const { repository, table } = api;
  await storePair(api, pair);
  for (const task of [forward, reverse]) {
    await repository.configure(task, config, false, why);
    for (const input of ['precheck', 'precheck-passed', 'start', 'initialized', 'pause', 'paused'] as const)
      await repository.move(task, input, why);
    const facts = { generation: 1, slot: 's', systemId: '1', timeline: 1, consistentPoint: '0/1', at: 'now' };
    await savePrepared(table, task, facts, [{ schema: 'public', name: 'item', key: ['id'] }]);
  }
  const store = new VerificationStore(table);
  // Runs sort by time.
  let rounds = 0;
  const round = async () => {
    const watched = await readWatched(repository);
    const log = openLog({ levels: 'error', write: () => {} });
    await restarts.run({ repository, watched, log, now: new Date(Date.now() + 1000 * ++rounds) } as never);
    return (await store.list(pair, { limit: 10 })).runs;
  };
  const restart = async (direction: string, body: object) => {
    const answer = await api.call('POST', `pairs/${pair}/tasks/${direction}/restart`, { body });
    return answer;
  };
  const end = async (id: string, change: Partial<Verification>) => {
    const stored = await store.get(pair, id);
    stored.run = { ...stored.run, ...change };
    await store.save(stored);
    await store.ended(pair);
  };
  return { api, repository, round, restart, end };
}
const wishes = async (repository: Repository) =>
  Promise.all([forward, reverse].map(async (id) => (await repository.getTask(id)).verifyAfter?.run));
const repaired = (run: Verification, of: number, repaired: number): Partial<Verification> => ({
  status: 'finished',
  counts: { ...run.counts, different: of },
  repair: { order: { winner: 'policy' }, by: 'x', askedAt: 'now', after: null, repaired, refused: 0 },
});

test('the repair that was asked for begins when both tasks run, and is over when nothing is left', async () => {
  const { repository, round, restart, end } = await paused();
  expect((await restart('forward', { verify: 'repair' })).status).toBe(202);
  expect((await restart('reverse', { verify: 'repair', winner: 'b' })).status).toBe(202);
  await repository.move(forward, 'initialized', why);
  expect(await round()).toEqual([]);
  await repository.move(reverse, 'initialized', why);
  const [first] = await round();
  // The later restart says who wins; it is asked for by whom the restart was.
  expect(first).toMatchObject({ status: 'verifying', by: 'the-admin', options: { repair: 'b' } });
  expect(await wishes(repository)).toEqual([first!.id, first!.id]);
  for (const task of [forward, reverse])
    expect((await repository.getTask(task)).events.at(-1)?.cause).toMatch(
      /verification .* after the restart of the forward and reverse task, .* side b wins/,
    );
  expect(await round()).toHaveLength(1);
  // More differed than one run can keep.
  await end(first!.id, repaired(first!, 100_007, 100_000));
  const [second, ...others] = await round();
  expect([second!.status, others.length]).toEqual(['verifying', 1]);
  await end(second!.id, repaired(second!, 7, 7));
  expect(await round()).toHaveLength(2);
  expect(await wishes(repository)).toEqual([undefined, undefined]);
  // Nor is it compared once more.
  expect(await round()).toHaveLength(2);
});

test('another restart begins anew; a cancelled run is not started again', async () => {
  const { repository, round, restart, end } = await paused();
  await restart('forward', { verify: 'repair' });
  await repository.move(forward, 'initialized', why);
  await repository.move(reverse, 'resume', why);
  const [first] = await round();
  for (const input of ['pause', 'paused'] as const) await repository.move(forward, input, why);
  await restart('forward', { verify: 'repair' });
  await end(first!.id, { status: 'failed' });
  expect(await round()).toHaveLength(1);
  await repository.move(forward, 'initialized', why);
  const [second, ...others] = await round();
  expect([second!.status, others.length]).toEqual(['verifying', 1]);
  await end(second!.id, { status: 'cancelled' });
  expect(await round()).toHaveLength(2);
  expect(await wishes(repository)).toEqual([undefined, undefined]);
});

test('what the restart takes: a winner only with a repair; without a body it compares', async () => {
  const { api, repository, round, restart } = await paused();
  expect(await restart('forward', { winner: 'a' })).toMatchObject({ status: 422, body: { field: 'winner' } });
  const plain = await api.call('POST', `pairs/${pair}/tasks/forward/restart`);
  expect(plain.status).toBe(202);
  await repository.move(forward, 'initialized', why);
  await repository.move(reverse, 'resume', why);
  const [run] = await round();
  expect(run).toMatchObject({ by: 'monitor' });
  expect(run!.options.repair).toBeUndefined();
});
