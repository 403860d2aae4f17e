import type { MissingParentRule } from '../../shared/conflict/foreign-keys.ts';
import {
  type PolicyName,
  policyNames,
  type Resolver,
  type Settings,
} from '../../shared/conflict/policies/policy.ts';
import { columns } from './database.ts';
import type { Random } from './random.ts';

/** What a run explores. `counters` and `columns` write only what must add up or merge exactly. */
export type Scenario = {
  readonly writes: 'all' | 'counters' | 'columns' | 'turns';
  readonly keys: readonly string[];
  readonly steps: number;
  readonly settings: Settings;
  /** REPLICA IDENTITY FULL. */
  readonly full: boolean;
  readonly subtransactions: boolean;
  readonly longTransactions: boolean;
  readonly clockSteps: boolean;
  readonly faults: boolean;
  readonly netting: boolean;
  readonly truncates: boolean;
  /** Rows come and go more often than they change. */
  readonly churn: boolean;
  /** The first xids of both sides; near 2^32 in many runs. */
  readonly firstXids: readonly [bigint, bigint];
  /** False: the captures start without any state, everything is unseen. */
  readonly startsSeen: boolean;
  /** Rows go to shards by their keys; then nothing but the key is unique. */
  readonly shards: number;
  /** Rows refer to others; what becomes of those whose parent is gone. */
  readonly missingParent?: MissingParentRule;
};

/** A policy, or `random`: a resolver that throws dice, for convergence may not depend on the decision. */
type Drawn = PolicyName | 'random';
/** Or any policy with rows that refer to others, or that go to several shards. */
export type PolicyChoice = Drawn | 'foreign-keys' | 'shards';
export const policyChoices: readonly Drawn[] = [
  'random',
  ...policyNames.filter((name) => name !== 'resolver'),
];

/** Any policy, and rows that refer to each other: both ends equal, and no row without its parent. */
const withReferences = (random: Random): Scenario => ({
  ...scenarioOf(random, random.pick(policyChoices)),
  writes: 'all',
  keys: ['k0', 'k1', 'k2', 'k3'].slice(0, random.pick([2, 3, 4])),
  missingParent: random.pick(['restore-parent', 'restore-parent', 'delete-child']),
});

/** Any policy, with rows in two or three shards. */
const withShards = (random: Random): Scenario => ({
  ...scenarioOf(random, random.pick(policyChoices)),
  keys: ['k0', 'k1', 'k2', 'k3'].slice(0, random.pick([2, 3, 4])),
  shards: random.pick([2, 2, 3]),
  ...(random.chance(0.1) ? { writes: 'turns', subtransactions: false, startsSeen: true } : {}),
});

export const scenarioOf = (random: Random, policy: PolicyChoice): Scenario => {
  if (policy === 'foreign-keys') return withReferences(random);
  if (policy === 'shards') return withShards(random);
  const exact = policy === 'delta' ? 'counters' : policy === 'merge-columns' ? 'columns' : 'turns';
  const writes = random.chance(policy === 'delta' || policy === 'merge-columns' ? 0.5 : 0.03) ? exact : 'all';
  const exactly = writes === 'counters' || writes === 'columns';
  return {
    writes,
    keys: ['k0', 'k1', 'k2', 'k3'].slice(0, random.pick([1, 2, 3, 4])),
    steps: random.pick([10, 30, 80]),
    settings: settingsOf(random, policy),
    full: exactly || policy === 'delta' || policy === 'merge-columns' || random.chance(0.3),
    subtransactions: writes !== 'turns' && random.chance(0.5),
    longTransactions: random.chance(0.5),
    clockSteps: random.chance(0.5),
    faults: random.chance(0.6),
    netting: random.chance(0.7),
    truncates: random.chance(0.4),
    churn: random.chance(0.4),
    firstXids: [firstXid(random), firstXid(random)],
    startsSeen: writes === 'turns' || random.chance(0.9),
    shards: 1,
  };
};

const firstXid = (random: Random): bigint =>
  random.pick([
    800n,
    (1n << 32n) - 30n,
    3n * (1n << 32n) - BigInt(random.below(60)),
    (1n << 33n) + 7n,
    (1n << 31n) - 40n,
  ]);

const settingsOf = (random: Random, policy: Drawn): Settings => {
  const settings: Settings = {
    policy: policy === 'random' ? 'resolver' : policy,
    onDeleted: random.pick(['restore', 'restore', 'stay-deleted', 'by-time']),
    preferredSide: random.pick(['a', 'b']),
    fallback: random.pick(['overwrite', 'ignore', 'last-write-wins', 'source-priority', 'task-failed']),
    deltaColumns: policy === 'delta' ? [columns.n] : [],
  };
  return policy === 'random' ? { ...settings, resolver: dice(random) } : settings;
};

/** Any answer, also a row made of both. */
const dice =
  (random: Random): Resolver =>
  ({ source, local }) => {
    const throws = random.below(20);
    if (throws === 0) return 'fail';
    if (throws === 1) return 'delete';
    if (throws < 5 && source.row !== null && local.row !== null) {
      const other = local.row;
      return source.row.map((value, column) =>
        value === undefined || (column !== columns.id && random.chance(0.5)) ? other[column] : value,
      );
    }
    return throws % 2 === 0 ? 'source' : 'destination';
  };
