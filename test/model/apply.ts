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
import { beginXid, type Database, snapshotOf, type WalChange } from './database.ts';
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
  const admitted = admit(database.state.watermark, messages, from.wantedEpoch);
  if (admitted === 'gap') return 'gap';
  if (admitted.length === 0) return 'nothing';

  const before = database.state;
  database.state = snapshotOf(before);
  tick(database, scenario, random);
  const xid = beginXid(database);
  const { state } = database;
  const seen = seenAfter(parseSeen(state.progress), admitted);
  const newest = parseSeen(admitted.at(-1)!.seen);
  state.own = addXids(xidsFrom(state.own, newest.floor), [xid]);
  state.watermark = admitted.at(-1)!.position;
  state.progress = seenText(seen);

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
  database.wal.push({ kind: 'applied', xid, commit: database.clock, changes, progress: state.progress });
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
