import { setTimeout as pause } from 'node:timers/promises';
import { Faults } from './faults.ts';
import { keepHistory } from './history.ts';
import type { ChaosOptions } from './options.ts';
import { openPerson } from './person.ts';
import { mayStop } from './policies.ts';
import { complaints, keepFailure, keepLog, nameless } from './report.ts';
import { describe, isChosen, scheduleOf, setupOf } from './schedule.ts';
import { judge, type Verdict, waitForQuiet } from './verdict.ts';
import { openWorld } from './world.ts';
import { openWriters } from './writers.ts';

/** The last line of a run. */
export type ChaosResult = {
  readonly seed: number;
  readonly policy: string;
  readonly faults: number;
  readonly writes: number;
  readonly conflicts: number;
  readonly converged: boolean;
  readonly lost: number;
  readonly deadLetters: number;
  /** Errors that were logged as `internal`. */
  readonly internal: number;
  /** Why it did not come to an end, if it did not. */
  readonly failure?: string;
};

const SLOWNESS = 60;

/** Writes, faults, quiet, verdict. What went wrong is printed, and kept under test/output. */
export async function runChaos(options: ChaosOptions, print: (line: string) => void): Promise<ChaosResult> {
  const { seed, seconds, policy } = options;
  const setup = setupOf(seed);
  const all = scheduleOf(seed, seconds, options.mostFaults);
  const faults = all.filter((fault) => isChosen(fault, options.only));
  print(`seed ${seed}, ${seconds} s, policy ${policy}, ${JSON.stringify(setup)}`);
  for (const fault of faults) print(`fault ${describe(fault)}`);
  const lines: string[] = [];
  const writers = openWriters(seed, policy === 'task-failed' ? SLOWNESS : 1);
  const name = `chaos-${seed}-${policy}-${new Date().toISOString().replaceAll(/[:.]/g, '')}`;
  await using world = await openWorld(options, setup, {
    onLine: (line) => lines.push(line),
    onStart: (url) => writers.begin('a', url),
  }).catch(async (error: unknown) => {
    keepLog(name, lines, print);
    await writers.stop();
    throw error;
  });
  for (const side of [world.twin.a, world.twin.b]) await keepHistory(side.superuserUrl);

  writers.copied();
  writers.begin('b', world.twin.b.url);
  const person = mayStop(policy) ? openPerson(world.on.call, world.twin.pair, seed) : undefined;
  let verdict: Verdict | undefined;
  let failure: unknown;
  const started = performance.now();
  try {
    const carrier = new Faults(world);
    try {
      for (const fault of faults) {
        await pause(Math.max(0, fault.atMs - (performance.now() - started)));
        lines.push(JSON.stringify({ chaos: describe(fault), at: new Date().toISOString() }));
        carrier.begin(fault);
      }
      await pause(Math.max(0, seconds * 1_000 - (performance.now() - started)));
    } finally {
      await carrier.settled();
      await writers.stop();
    }
    lines.push(JSON.stringify({ chaos: 'quiet', at: new Date().toISOString() }));
    await waitForQuiet(world, setup.arbiter);
    verdict = await judge(world, writers);
  } catch (error) {
    failure = error;
  }
  await person?.stop().catch((error: unknown) => {
    failure ??= error;
  });
  if (person) print(`conflicts answered by a person: ${person.answered}`);
  for (const line of complaints(lines)) print(`logged ${line}`);
  const internal = nameless(lines);
  for (const line of internal.slice(0, 5)) print(line);
  const converged = verdict !== undefined && verdict.differences.length === 0;
  const lost = verdict?.lost.length ?? 0;
  const deadLetters = verdict?.deadLetters ?? 0;
  if (!converged || lost > 0 || deadLetters > 0 || internal.length > 0) {
    if (failure) print(String((failure as Error).stack ?? failure));
    await keepFailure({ world, name, faults: faults.map(describe), lines, verdict, print }).catch(
      (error: unknown) => print(`not all could be kept: ${String(error)}`),
    );
  }
  return {
    seed,
    policy,
    faults: faults.length,
    writes: writers.committed,
    conflicts: verdict?.conflicts ?? 0,
    converged,
    lost,
    deadLetters,
    internal: internal.length,
    ...(failure ? { failure: String((failure as Error).message ?? failure) } : {}),
  };
}

/** True if nothing went wrong. */
export const isClean = ({ converged, lost, deadLetters, internal }: ChaosResult): boolean =>
  converged && lost === 0 && deadLetters === 0 && internal === 0;
