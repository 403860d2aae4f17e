import { type NetChange, netChanges, originalsOf } from '../../shared/conflict/net.ts';
import { filled } from '../../shared/conflict/rows.ts';
import type { Seen } from '../../shared/conflict/seen.ts';
import { snapshotOf, UniqueViolation } from './database.ts';
import type { Executor, Incoming } from './executor.ts';
import type { Random } from './random.ts';

/**
 * A batch as apply takes it: netted, each stretch between two barriers by sets where rows are as planned, the rest row
 * by row; a violated unique key throws a stretch back to its original changes, in source order.
 */
export const applyNet = (executor: Executor, incoming: readonly Incoming[], random: Random): void => {
  const nets = netChanges(incoming);
  let stretch: NetChange<Incoming>[] = [];
  for (const net of nets) {
    if (!net.barrier) {
      stretch.push(net);
      continue;
    }
    applyStretch(executor, stretch, random);
    stretch = [];
    executor.applyExactly(net.first);
  }
  applyStretch(executor, stretch, random);
};

const applyStretch = (executor: Executor, stretch: readonly NetChange<Incoming>[], random: Random): void => {
  const way = random.below(4);
  if (way === 0) return replay(executor, stretch);
  if (way === 1 && executor.delivery.scenario.writes !== 'turns') {
    for (const net of stretch) exactly(executor, net);
    return;
  }
  const { database } = executor.delivery;
  const before = database.state;
  database.state = snapshotOf(before);
  // one guard for the whole batch is its first state: it knows least
  const guard = random.chance(0.5) ? stretch[0]?.first.seen : undefined;
  const leftKeys = new Set<string>();
  const left = new Set<NetChange<Incoming>>();
  try {
    for (const op of ['delete', 'update', 'insert'] as const) {
      for (const net of stretch) {
        if (net.op !== op) continue;
        // what is left over of a key takes its later operation with it
        if (!leftKeys.has(net.key) && plainly(executor, net, guard)) continue; // rule: left-keys
        leftKeys.add(net.key);
        left.add(net);
      }
    }
  } catch (error) {
    if (!(error instanceof UniqueViolation)) throw error;
    database.state = before;
    return replay(executor, stretch);
  }
  for (const net of stretch) {
    if (!left.has(net)) continue;
    if (way === 2) exactly(executor, net);
    else replay(executor, [net]);
  }
};

/** The fast path's WHERE: true if the row is as planned, and written. */
const plainly = (executor: Executor, net: NetChange<Incoming>, guard: Seen | undefined): boolean => {
  const { last } = net;
  const local = executor.localOf(net.key, guard ?? seenOf(net));
  if (net.op === 'insert') {
    if (local.row !== null || local.unseen) return false;
    executor.writePlanned(last, net.row);
    return true;
  }
  if (local.row === null) return net.op === 'delete' && !local.unseen;
  if (local.unseen) return false;
  executor.writePlanned(last, net.op === 'delete' ? null : filled(net.row!, local.row));
  return true;
};

const exactly = (executor: Executor, net: NetChange<Incoming>): void => {
  const originals = originalsOf(net);
  const { last } = net;
  const change: Incoming = { ...last, op: net.op, row: net.row, old: net.old, seen: seenOf(net) };
  executor.applyExactly(
    change,
    originals.map((original) => original.position),
  );
};

/** What counts as seen for a run: what its first author had seen. */
const seenOf = (net: NetChange<Incoming>): Seen => net.first.seen;

/** The original changes, in the order of the source. */
const replay = (executor: Executor, stretch: readonly NetChange<Incoming>[]): void => {
  const originals = stretch.flatMap((net) => [...originalsOf(net)]);
  originals.sort((one, other) => one.order - other.order);
  for (const change of originals) executor.applyExactly(change);
};
