import type { OnDeleted } from '../../shared/conflict/policies/policy.ts';
import { nothingSeen, seenText } from '../../shared/conflict/seen.ts';
import { applyMessages, type Choices } from './apply.ts';
import { Capture, type Message } from './capture.ts';
import { columns, type Database, initialSeen, openDatabase, writeRow, xid32 } from './database.ts';
import { type Ledger, openLedger } from './ledger.ts';
import { type Random, randomOf } from './random.ts';
import { type PolicyChoice, policyChoices, type Scenario, scenarioOf } from './scenario.ts';
import { beginLong, heartbeat, localTransaction } from './writes.ts';

/** What became of a run: null, or how it failed. */
export type Outcome = {
  readonly failure: string | null;
  readonly conflicts: number;
  /** Their kinds, in the order in which they were met. */
  readonly kinds: readonly string[];
  readonly policy: PolicyChoice;
  readonly onDeleted: OnDeleted;
};

type World = {
  readonly random: Random;
  readonly scenario: Scenario;
  readonly ledger: Ledger;
  readonly databases: Record<'a' | 'b', Database>;
  readonly captures: Record<'a' | 'b', Capture>;
  readonly choices: Record<'a' | 'b', Choices>;
  readonly conflicts: string[];
};

/**
 * One run: random writes, deliveries and faults, then quiet; side `b` decides. Both ends must be equal then. The clock of
 * side b is off by `clockOfB`, and half-way steps back to as much on the other side.
 */
export const simulate = (
  seed: number,
  policy?: PolicyChoice,
  look?: (databases: Record<'a' | 'b', Database>) => void,
  clockOfB = 0n,
): Outcome => {
  const random = randomOf(seed);
  const chosen = policy ?? random.pick(policyChoices);
  const world = openWorld(random, scenarioOf(random, chosen));
  const { b } = world.databases;
  b.clock += clockOfB;
  let failure: string | null;
  try {
    if (world.scenario.writes === 'turns') takeTurns(world);
    else
      for (let step = 0; step < world.scenario.steps; step++) {
        if (step === world.scenario.steps >> 1) b.clock -= 2n * clockOfB;
        act(world);
      }
    failure = settle(world) ?? difference(world);
  } catch (error) {
    failure =
      error instanceof Error
        ? (error.stack ?? error.message).split('\n').slice(0, 5).join('\n')
        : String(error);
  }
  look?.(world.databases);
  const kinds = world.conflicts.map((kind) => kind.replace(' unsure', ''));
  return {
    failure,
    conflicts: kinds.length,
    kinds,
    policy: chosen,
    onDeleted: world.scenario.settings.onDeleted,
  };
};

const openWorld = (random: Random, scenario: Scenario): World => {
  const [first, second] = scenario.firstXids;
  const { shards } = scenario;
  const a = openDatabase('a', first, 1_000_000n, shards);
  const b = openDatabase(
    'b',
    second,
    1_000_000n + (scenario.clockSteps ? BigInt(random.below(5000) - 2500) : 0n),
    shards,
  );
  const exactly = scenario.writes === 'counters' || scenario.writes === 'columns';
  const sides = { a: initialSeen(b), b: initialSeen(a) };
  for (const key of scenario.keys) {
    if (!exactly && random.chance(0.5)) continue;
    const row = [key, 'x', 'y', '0', null, null, ...(scenario.missingParent ? [null] : [])];
    // an old row: its xmin may be anything, where it was frozen long ago
    const old = scenario.writes === 'all' && random.chance(0.2) ? random.below(4294967296) : undefined;
    for (const { state, nextXid, side } of [a, b])
      writeRow(state, { row, xmin: old ?? xid32(nextXid - 20n), time: 1n, side });
  }
  if (!scenario.startsSeen) {
    sides.a = nothingSeen;
    sides.b = nothingSeen;
  }
  a.state.progress.fill(seenText(sides.a));
  b.state.progress.fill(seenText(sides.b));
  const how = { random, shards, large: scenario.writes !== 'turns' };
  const captures = {
    a: new Capture(a, sides.a, { ...how, other: b }),
    b: new Capture(b, sides.b, { ...how, other: a }),
  };
  const choices = { a: new Map(), b: new Map() };
  return { random, scenario, ledger: openLedger(), databases: { a, b }, captures, choices, conflicts: [] };
};

/** One thing that happens. */
const act = (world: World): void => {
  const { random, scenario, databases, captures } = world;
  const side = random.pick(['a', 'b'] as const);
  const database = databases[side];
  const what = random.below(20);
  if (what < 8) localTransaction(database, scenario, random, world.ledger);
  else if (what < 9) heartbeat(database);
  else if (what < 10) {
    if (scenario.longTransactions && database.running.length < 2) beginLong(database);
  } else if (what < 14) captures[side].read(random.pick([1, 2, 3, 5]));
  else if (what < 18) deliver(world, side);
  else if (scenario.faults) fault(world, side);
};

/** Delivers from a side's queue to the other. */
const deliver = (world: World, side: 'a' | 'b', faults = world.scenario.faults): boolean => {
  const { random, scenario, captures } = world;
  const queue = queueOf(world, side);
  const count = random.pick([1, 1, 2, 3]);
  const together = queue.findIndex(({ whole }) => whole);
  // One of several shards goes alone.
  const messages = queue.slice(0, together < 0 ? count : Math.min(count, together || 1));
  if (messages.length === 0) return false;
  const other = side === 'a' ? 'b' : 'a';
  const delivery = {
    database: world.databases[other],
    role: other === 'b' ? ('arbiter' as const) : ('follower' as const),
    from: captures[side],
    scenario,
    random,
    choices: world.choices[side],
    conflicts: world.conflicts,
  };
  const result = applyMessages(delivery, messages, faults && random.chance(0.05));
  if (result === 'stopped' || result === 'crashed') return true;
  if (result === 'gap') {
    captures[side].restart(true);
    return true;
  }
  // not acknowledged: it comes again
  if (!(faults && random.chance(0.1))) queue.splice(0, messages.length);
  return true;
};

const queueOf = ({ random, scenario, captures }: World, side: 'a' | 'b'): Message[] =>
  captures[side].queues[scenario.shards > 1 ? random.below(scenario.shards) : 0]!;

const fault = (world: World, side: 'a' | 'b'): void => {
  const { random, captures, databases } = world;
  const capture = captures[side];
  const { watermarks } = databases[side === 'a' ? 'b' : 'a'].state;
  const queue = queueOf(world, side);
  const what = random.below(5);
  if (what < 2) capture.confirm(watermarks, random.pick);
  else if (what < 3) capture.restart(random.chance(0.5));
  else if (what < 4 && queue.length > 0) queue.push(random.pick(queue));
  else if (queue.length > 0 && random.chance(0.3)) queue.splice(random.below(queue.length), 1);
};

/** Each write after the other side's has arrived: no conflict may be seen. */
const takeTurns = (world: World): void => {
  const { random, scenario, databases } = world;
  for (let turn = 0; turn < scenario.steps / 2; turn++) {
    const database = databases[random.pick(['a', 'b'] as const)];
    localTransaction(database, scenario, random, world.ledger);
    if (random.chance(0.3)) heartbeat(database);
    const failure = settle(world);
    if (failure !== null) throw new Error(failure);
    const conflict = world.conflicts.find((kind) => kind !== 'delete_missing');
    if (conflict !== undefined) throw new Error(`a false conflict: ${conflict}`);
  }
};

/** No more writes and faults: delivers until nothing is under way. */
const settle = (world: World): string | null => {
  const { random, captures, databases } = world;
  for (let round = 0; round < 1000; round++) {
    const side = random.pick(['a', 'b'] as const);
    captures[side].read(random.pick([1, 3, 10]));
    deliver(world, side, false);
    const quiet = (['a', 'b'] as const).every((each) => {
      const other = databases[each === 'a' ? 'b' : 'a'];
      const capture = captures[each];
      // The last message was lost: the next heartbeat would show the gap, or a probe while others wait for it.
      const lost =
        world.scenario.shards > 1
          ? capture.isStuck
          : capture.isAtEnd && other.state.watermarks[0]! < lastSent(databases[each]);
      if (capture.queues.some(({ length }) => length > 0)) return false;
      if (lost) capture.restart(true);
      return !lost && capture.isAtEnd;
    });
    if (quiet) return null;
  }
  return 'no quiet: the sides talk for ever';
};

const lastSent = ({ wal }: Database): number => {
  for (let position = wal.length - 1; position >= 0; position--)
    if (wal[position]!.kind !== 'applied' || wal[position]!.changes.length > 0) return position;
  return -1;
};

/** How the two ends differ, or what is missing in them. */
const difference = (world: World): string | null => {
  const [a, b] = [world.databases.a.state, world.databases.b.state];
  for (const key of world.scenario.keys) {
    const [one, other] = [a.rows.get(key)?.row, b.rows.get(key)?.row];
    if (JSON.stringify(one) !== JSON.stringify(other))
      return `diverged at ${key}: ${JSON.stringify(one)} and ${JSON.stringify(other)}`;
  }
  for (const [key, { row }] of a.rows) {
    const parent = row[columns.p];
    if (typeof parent === 'string' && !a.rows.has(parent)) return `row ${key} has no parent ${parent}`;
  }
  if (a.pulls.size > 0) return `open pulls are left: ${[...a.pulls.keys()]}`;
  return world.ledger.missing(b);
};
