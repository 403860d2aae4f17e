import { readOptions, usage } from './options.ts';
import { isClean, runChaos } from './run.ts';

/** `npm run test:chaos`: the last line is the result as one JSON object; exit code 0 only if all is well. */
async function main(): Promise<number> {
  const print = (line: string): void => console.log(line);
  let options: ReturnType<typeof readOptions>;
  try {
    options = readOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage}`);
    return 2;
  }
  const { repeat, ...chaos } = options;
  for (let run = 1; run <= repeat; run++) {
    if (repeat > 1) print(`run ${run} of ${repeat}`);
    const result = await runChaos(chaos, print);
    if (!isClean(result)) {
      const { seed, seconds, policy, only } = chaos;
      const faults = only ? ` --faults ${only.join(',')}` : '';
      print(`again: npm run test:chaos -- --seed ${seed} --seconds ${seconds} --policy ${policy}${faults}`);
    }
    print(JSON.stringify(result));
    if (!isClean(result)) return 1;
  }
  return 0;
}

process.exitCode = await main();
