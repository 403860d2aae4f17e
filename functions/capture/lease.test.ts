import { afterEach, expect, test } from 'vitest';
import { endOfTransaction, zeroPosition } from '../../shared/stream/position.ts';
import { openMemoryTable } from '../../test/support/memory-table.ts';
import { CheckpointStore } from './checkpoint.ts';
import { type Lease, LeaseTaker } from './lease.ts';
import { startOf } from './streaming.ts';

const held: Lease[] = [];
afterEach(async () => {
  for (const lease of held.splice(0)) await lease.release();
});

/** Time stands still unless a test moves it; renewals come from a timer that never fires here. */
function taker(table: ReturnType<typeof openMemoryTable>, owner: string, clock: { ms: number }) {
  const leases = new LeaseTaker({
    table,
    owner,
    times: { ttlMs: 1_000, renewMs: 2_000_000_000 },
    clock: { now: () => new Date(clock.ms), random: () => 0, sleep: async () => {} },
  });
  return async () => {
    const lease = await leases.take('task_f');
    if (lease) held.push(lease);
    return lease;
  };
}

test('one owner at a time; another one takes over when the lease has not moved for its whole time', async () => {
  const table = openMemoryTable();
  const clock = { ms: 0 };
  const [one, other] = [taker(table, 'one', clock), taker(table, 'other', clock)];
  const first = (await one())!;
  expect(await first.nextEpoch()).toBe(1);
  expect(await other()).toBeUndefined();
  clock.ms = 900;
  await first.nextEpoch();
  expect(await other()).toBeUndefined();
  clock.ms = 1_900;
  expect(await other()).toBeUndefined();
  clock.ms = 1_901;
  const second = (await other())!;
  expect(second.fence).toBe(2);
  expect(await second.nextEpoch()).toBe(3);
  await expect(first.nextEpoch()).rejects.toMatchObject({ code: 'lease-lost' });
  expect(first.lost.aborted).toBe(true);
  expect(second.lost.aborted).toBe(false);
});

test('an epoch whose write got no answer is not given twice', async () => {
  const table = openMemoryTable();
  const { put } = table;
  const clock = { ms: 0 };
  const lease = (await taker(table, 'one', clock)())!;
  // The write lands, the answer is lost.
  table.put = async (item, expected) => {
    await put(item, expected);
    throw new Error('no answer');
  };
  await expect(lease.nextEpoch()).rejects.toThrow('no answer');
  table.put = put;
  const epoch = await lease.nextEpoch();
  const { epoch: stored } = (await table.get('task_f', 'lease'))!.body as { epoch: number };
  expect(stored).toBe(epoch);
});

test('a lease that was given back is free at once', async () => {
  const table = openMemoryTable();
  const clock = { ms: 0 };
  const lease = (await taker(table, 'one', clock)())!;
  await lease.release();
  expect(await taker(table, 'other', clock)()).toBeDefined();
});

test('a checkpoint of a former owner gives way, one of a later epoch does not', async () => {
  const table = openMemoryTable();
  const [former, owner] = [new CheckpointStore(table, 'task_f'), new CheckpointStore(table, 'task_f')];
  const value = (epoch: number) => ({
    ...{ generation: 1, epoch, lsn: '1', newest: '0' },
    shards: [{ position: zeroPosition, seen: '' }],
  });
  await former.read(1);
  await owner.read(1);
  await former.save(value(1));
  await owner.save(value(2));
  await expect(former.save(value(1))).rejects.toMatchObject({ code: 'lease-lost' });
  expect(await owner.read(1)).toMatchObject({ epoch: 2 });
  expect(await owner.read(2)).toBeUndefined();
});

test('a destination that lost what the slot has forgotten stops the task', () => {
  const at = (n: number) => endOfTransaction(BigInt(n));
  const reading = (n: number, epoch = 1, resendEpoch = 0) => ({ positions: [at(n)], epoch, resendEpoch });
  expect(startOf(reading(5), undefined, 'until-applied')).toEqual([at(5)]);
  expect(startOf(reading(5), [{ position: at(4), seen: '' }], 'until-applied')).toEqual([at(5)]);
  expect(() => startOf(reading(3), [{ position: at(4), seen: '' }], 'until-applied')).toThrow('forgotten');
  // The queue has it, unless something is missing.
  expect(startOf(reading(3), [{ position: at(4), seen: '' }], 'until-queued')).toEqual([at(4)]);
  expect(() => startOf(reading(3, 1, 2), [{ position: at(4), seen: '' }], 'until-queued')).toThrow(
    'forgotten',
  );
});
