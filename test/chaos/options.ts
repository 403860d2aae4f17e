import { parseArgs } from 'node:util';
import { type PolicyName, policies } from '../../shared/task/schema.ts';

export type ChaosOptions = {
  readonly seed: number;
  /** How long is written and broken; the quiet after it comes on top. */
  readonly seconds: number;
  readonly policy: PolicyName;
  /** Of the pair. */
  readonly shards: number;
  /** Numbers or kinds of the scheduled faults that are carried out; undefined: all. */
  readonly only: readonly string[] | undefined;
  /** At most so many faults are scheduled. */
  readonly mostFaults?: number;
  /** A folder of binaries for the two servers; undefined: the ones from npm. */
  readonly binDir?: string | undefined;
};

export const usage = `npm run test:chaos -- --seed N --seconds S [--policy NAME] [--shards N] [--faults LIST] [--repeat K]
  --seed N       the same seed gives the same schedule of writes and faults (default: from the clock)
  --seconds S    how long there are writes and faults (default 30)
  --policy NAME  ${policies.join(', ')} (default last-write-wins)
  --shards N     shards of the pair (default 1)
  --faults LIST  only these of the schedule, by number or kind, as in 3,9,server-restarted; or none
  --repeat K     so many runs of the same seed; stops at the first that fails (default 1)`;

/** The command line; throws with a text for the user. */
export function readOptions(args: readonly string[]): ChaosOptions & { readonly repeat: number } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: 'string' },
      seconds: { type: 'string', default: '30' },
      policy: { type: 'string', default: 'last-write-wins' },
      shards: { type: 'string', default: '1' },
      faults: { type: 'string' },
      repeat: { type: 'string', default: '1' },
    },
  });
  const number = (name: 'seed' | 'seconds' | 'repeat' | 'shards', text: string): number => {
    if (!/^\d{1,9}$/.test(text)) throw new Error(`--${name} must be a whole number.`);
    return Number(text);
  };
  const policy = policies.find((name) => name === values.policy);
  if (!policy) throw new Error(`--policy ${values.policy} is none of ${policies.join(', ')}.`);
  return {
    seed: number('seed', values.seed ?? String(Date.now() % 1_000_000)),
    seconds: number('seconds', values.seconds),
    policy,
    shards: number('shards', values.shards),
    only: values.faults === undefined ? undefined : values.faults.split(',').map((each) => each.trim()),
    binDir: process.env['PGTWIN_TEST_PG_BIN'],
    repeat: number('repeat', values.repeat),
  };
}
