import { parseArgs } from 'node:util';
import { findMutation, runMutated } from './mutations.ts';
import { type PolicyChoice, policyChoices } from './scenario.ts';
import { simulate } from './simulate.ts';

/**
 * node test/model/main.ts RUNS [--seed N] [--policy NAME] [--without RULE] [--stop]
 *
 * Runs the model RUNS times from seed N on and says how many ended with two different databases. With RULE it runs a
 * copy of the product's code without that rule. `--stop` ends at the first failed run. Exit code 0 only if none failed.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: '1' },
    policy: { type: 'string' },
    without: { type: 'string' },
    stop: { type: 'boolean', default: false },
  },
});
const runs = Number(positionals[0] ?? '10000');
const seed = Number(values.seed);

if (values.without !== undefined) {
  const result = await runMutated(findMutation(values.without), runs, seed, !values.stop);
  console.log(JSON.stringify({ without: values.without, ...result }));
  process.exit(result.failed === 0 ? 0 : 1);
}

const started = performance.now();
const failures: { seed: number; failure: string }[] = [];
const byPolicy: Record<string, number> = {};
let conflicts = 0;
let done = 0;
for (let run = 0; run < runs; run++) {
  const outcome = simulate(seed + run, policyOf(values.policy));
  done++;
  conflicts += outcome.conflicts;
  byPolicy[outcome.policy] = (byPolicy[outcome.policy] ?? 0) + 1;
  if (outcome.failure !== null) failures.push({ seed: seed + run, failure: outcome.failure });
  if (values.stop && failures.length > 0) break;
}
for (const { seed: at, failure } of failures.slice(0, 3)) console.log(`seed ${at}: ${failure}`);
console.log(
  JSON.stringify({
    runs: done,
    failed: failures.length,
    conflicts,
    byPolicy,
    seconds: Math.round((performance.now() - started) / 100) / 10,
  }),
);
process.exitCode = failures.length === 0 ? 0 : 1;

function policyOf(name: string | undefined): PolicyChoice | undefined {
  const found = [...policyChoices, 'foreign-keys' as const, 'shards' as const].find(
    (choice) => choice === name,
  );
  if (name !== undefined && found === undefined)
    throw new Error(`--policy is one of ${policyChoices.join(', ')}`);
  return found;
}
