import {
  parseSeen,
  type Seen,
  type SeenTransaction,
  seenText,
  widenXid,
  withFloor,
  withTransactions,
} from '../../shared/conflict/seen.ts';
import { addXids, xidsFrom } from '../../shared/conflict/xid-ranges.ts';
import { applyNet } from './apply-net.ts';
import type { Capture, Message, Sent } from './capture.ts';
import { beginXid, type Database, shardOf, snapshotOf, type WalChange } from './database.ts';
import { Executor, type Incoming, Stopped } from './executor.ts';
import type { Random } from './random.ts';
import type { Scenario } from './scenario.ts';
import { tick, writeMeanwhile } from './writes.ts';

/** Choices of a person, by position and key, for conflicts that stopped the task. */
export type Choices = Map<string, 'source' | 'destination'>;

export type Delivery = {
  readonly database: Database;
  readonly role: 'arbiter' | 'follower';
  readonly from: Capture;
  readonly scenario: Scenario;
  readonly random: Random;
  readonly choices: Choices;
  readonly conflicts: string[];
};

/** One invocation: admits, applies all in one transaction, commits. Says what became of it. */
export const applyMessages = (
  delivery: Delivery,
  messages: readonly Message[],
  crash: boolean,
): 'committed' | 'stopped' | 'crashed' | 'gap' | 'nothing' => {
  const { database, from, scenario, random } = delivery;
  const { shard } = messages[0]!;
  const { shards } = scenario;
  const admitted = messages[0]!.whole
    ? admitWhole(database.state.watermarks, messages[0]!, from.wantedEpoch, shards)
    : admit(database.state.watermarks[shard]!, messages, from.wantedEpoch);
  if (admitted === 'gap') return 'gap';
  if (admitted.length === 0) return 'nothing';

  const before = database.state;
  database.state = snapshotOf(before);
  tick(database, scenario, random);
  const xid = beginXid(database);
  const { state } = database;
  const { floor } = parseSeen(admitted.at(-1)!.seen);
  if (floor > state.floors[shard]!) state.floors[shard] = floor;
  const known = state.floors.reduce((a, b) => (a < b ? a : b));
  state.own = addXids(xidsFrom(state.own, known), [xid]);
  // What all authors to come know of is not looked up any more.
  for (const [key, published] of state.open) if (published < known) state.open.delete(key); // rule: floor-of-all
  const noted = messages[0]!.whole ? [...state.progress.keys()] : [shard]; // rule: noted-in-all
  for (const each of noted) {
    state.watermarks[each] = Math.max(state.watermarks[each]!, admitted.at(-1)!.position);
    state.progress[each] = seenText(seenAfter(parseSeen(state.progress[each]!), admitted));
  }

  const executor = new Executor(delivery, xid);
  const incoming = admitted
    .flatMap((sent) => incomingOf(sent, admitted.at(-1)!.seen))
    .map((change, order) => ({ ...change, order }));
  try {
    if (scenario.netting) applyNet(executor, incoming, random);
    else for (const change of incoming) executor.applyExactly(change);
    executor.settleReferences(incoming.at(-1));
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    database.state = before;
    delivery.choices.set(error.where, random.pick(['source', 'destination']));
    return 'stopped';
  }
  const changes: WalChange[] = executor.finish();
  if (crash) {
    database.state = before;
    return 'crashed';
  }
  if (scenario.writes === 'all' && random.chance(0.3))
    writeMeanwhile(database, scenario, random, executor.touched);
  const progress = noted.map((each) => [each, state.progress[each]!] as const);
  database.wal.push({ kind: 'applied', xid, commit: database.clock, changes, progress });
  delivery.conflicts.push(...executor.conflicts);
  return 'committed';
};

/** Transactions above the watermark; a message whose predecessor is missing is a gap. Old epochs are not read. */
const admit = (watermark: number, messages: readonly Message[], epoch: number): Sent[] | 'gap' => {
  const admitted: Sent[] = [];
  let last = watermark;
  for (const message of messages) {
    if (message.epoch < epoch) continue;
    if (message.previous > last) return admitted.length > 0 ? admitted : 'gap'; // rule: gap
    for (const transaction of message.transactions) {
      if (transaction.position <= last) continue; // rule: watermark
      last = transaction.position;
      admitted.push(transaction);
    }
  }
  return admitted;
};

/** A transaction of several shards: what is missing in some of them, though others may have theirs. */
const admitWhole = (
  watermarks: readonly number[],
  { epoch, previous, transactions }: Message,
  wanted: number,
  shards: number,
): Sent[] | 'gap' => {
  const [sent] = transactions;
  if (!sent || epoch < wanted) return [];
  if (previous > watermarks[0]!) return 'gap';
  const isMissing = (key: string) => watermarks[shardOf(key, shards)]! < sent.position;
  if (watermarks.every((watermark) => watermark >= sent.position)) return [];
  const changes = sent.changes.filter(({ op, key }) => op === 'truncate' || isMissing(key)); // rule: missing-only
  return [{ ...sent, changes }];
};

/** What this side has seen once these transactions are applied. */
const seenAfter = (seen: Seen, transactions: readonly Sent[]): Seen => {
  let after = seen;
  for (const { xid, time, floor, next } of transactions) {
    const one: SeenTransaction = { xid: widenXid(xid, after.next), time };
    after = withTransactions(after, [one]);
    if (floor !== undefined && next !== undefined) after = withFloor(after, floor, next); // rule: floor-of-heartbeat
  }
  return after;
};

const incomingOf = (
  { position, time, seen, changes }: Sent,
  _batchSeen: string,
): Omit<Incoming, 'order'>[] => {
  const parsed = parseSeen(seen); // rule: own-seen-state
  return changes.map((change) => ({ ...change, position, time, seen: parsed }));
};
