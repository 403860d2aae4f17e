import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { dockerAnswers } from '../localstack/docker.ts';
import { findJava, findPython } from '../localstack/prerequisites.ts';
import { asPgtwinError } from '../shared/errors/pgtwin-error.ts';
import { countsOf } from './support/vitest-report.ts';

/**
 * What `npm test` runs. The last line is `N passed, N failed`: the tests of all vitest projects, and one each for the
 * type check and the lint. A part that fails without a failed test, runs no test or skips one, counts as failed.
 */
const parts = {
  check: 'types of the whole tree (tsc)',
  lint: 'lint and format (biome)',
  unit: 'tests that need nothing (vitest)',
  pg: 'tests on two PostgreSQL servers of their own (vitest)',
  localstack: 'tests on LocalStack, with functions as Lambda (vitest)',
} as const;
type Part = keyof typeof parts;
type Result = {
  readonly part: Part;
  readonly passed: number;
  readonly failed: number;
  readonly seconds: number;
  readonly note?: string;
  readonly failures?: readonly string[];
};

/** One after the other, what stands in one stage side by side: for two cores, and two servers' worth of memory. */
const stages: readonly (readonly (readonly Part[])[])[] = [
  [['check', 'lint', 'localstack'], ['unit']],
  [['pg']],
];
/** No part takes this long: it hangs. */
const limitMs = 15 * 60_000;

const root = path.join(import.meta.dirname, '..');
const bin = (name: string): string => path.join(root, 'node_modules', name);
const running = new Set<ChildProcess>();

async function main(): Promise<void> {
  const chosen = choose();
  // An interrupted vitest still stops its servers.
  process.on('SIGTERM', () => {
    for (const child of running) child.kill('SIGINT');
  });
  console.log('pgtwin tests: check, lint and localstack beside unit, then pg.');
  for (const part of chosen) console.log(`  ${part.padEnd(10)} ${parts[part]}`);
  const folder = mkdtempSync(path.join(tmpdir(), 'pgtwin-test-run-'));
  const results: Result[] = [];
  for (const stage of stages) {
    const lanes = stage.map(async (lane) => {
      for (const part of lane) if (chosen.includes(part)) results.push(await runPart(part, folder));
    });
    await Promise.all(lanes);
  }
  rmSync(folder, { recursive: true, force: true });
  summarize(results);
}

function choose(): Part[] {
  const all = Object.keys(parts) as Part[];
  try {
    const { only } = parseArgs({ options: { only: { type: 'string' } } }).values;
    const names = only?.split(',') ?? all;
    const unknown = names.filter((name) => !(all as string[]).includes(name));
    if (unknown.length > 0) throw new Error(`There is no part ${unknown.join(', ')}.`);
    return all.filter((part) => names.includes(part));
  } catch (error) {
    console.error(`${(error as Error).message} Usage: npm test [-- --only ${all.join(',')}]`);
    return process.exit(2);
  }
}

async function runPart(part: Part, folder: string): Promise<Result> {
  const started = performance.now();
  const finish = (passed: number, failed: number, note?: string): Result => {
    const seconds = Math.round((performance.now() - started) / 1000);
    return { part, passed, failed, seconds, ...(note === undefined ? {} : { note }) };
  };
  if (part === 'check' || part === 'lint') {
    const args =
      part === 'check' ? [bin('typescript/bin/tsc'), '--noEmit'] : [bin('@biomejs/biome/bin/biome'), 'check'];
    const problem = await stream(part, args);
    return problem ? finish(0, 1, problem) : finish(1, 0);
  }
  const lacking = part === 'localstack' ? lackingForLocalStack() : undefined;
  if (lacking) return finish(0, 1, lacking);
  const report = path.join(folder, `${part}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const problem = await stream(part, [bin('vitest/vitest.mjs'), 'run', '--project', part, ...reporters]);
  const { passed, failed, skipped, failures } = countsOf(report);
  if (passed + failed === 0) return finish(0, Math.max(1, skipped), problem ?? 'ran no test');
  if (skipped > 0) return { ...finish(passed, failed + skipped, `${skipped} did not run`), failures };
  if (problem && failed === 0) return { ...finish(passed, 1, `${problem}, without a failed test`), failures };
  return { ...finish(passed, failed), failures };
}

/** Said in one sentence before anything starts. */
function lackingForLocalStack(): string | undefined {
  if (process.env['PGTWIN_LOCALSTACK_ENDPOINT'] || dockerAnswers()) return undefined;
  try {
    findPython();
    findJava();
    return undefined;
  } catch (error) {
    return asPgtwinError(error).message;
  }
}

/** Runs a program of Node, its lines marked with the part's name; tells how it failed, if it did. */
function stream(part: Part, args: readonly string[]): Promise<string | undefined> {
  const env = {
    NODE_COMPILE_CACHE: path.join(root, 'node_modules/.cache/pgtwin'),
    ...process.env,
    ...(process.stdout.isTTY ? { FORCE_COLOR: '1' } : {}),
  };
  const child = spawn(process.execPath, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  let hung = false;
  const limit = setTimeout(() => {
    hung = child.kill('SIGINT');
  }, limitMs);
  limit.unref();
  const lastResort = setTimeout(() => child.kill('SIGKILL'), limitMs + 60_000);
  lastResort.unref();
  for (const output of [child.stdout, child.stderr]) {
    createInterface({ input: output }).on('line', (line) => console.log(`${part.padEnd(10)} | ${line}`));
  }
  return new Promise((resolve) => {
    child.once('error', ({ message }) => resolve(message));
    // Something it started and left behind may hold the pipes.
    child.once('exit', () => {
      setTimeout(() => [child.stdout, child.stderr].map((output) => output.destroy()), 5_000).unref();
    });
    child.once('close', (code, signal) => {
      running.delete(child);
      clearTimeout(limit);
      clearTimeout(lastResort);
      if (hung) resolve(`hung, ended after ${limitMs / 60_000} minutes`);
      else resolve(code === 0 ? undefined : signal ? `ended by ${signal}` : `exit code ${code}`);
    });
  });
}

function summarize(results: readonly Result[]): void {
  console.log('\nSummary');
  for (const { part, passed, failed, seconds, note, failures = [] } of results) {
    const counts = `${passed} passed, ${failed} failed`.padEnd(24);
    console.log(`  ${part.padEnd(10)} ${counts} ${String(seconds).padStart(4)} s${note ? `  ${note}` : ''}`);
    for (const failure of failures) console.log(`    failed: ${failure}`);
  }
  const sum = (of: (result: Result) => number): number =>
    results.reduce((total, each) => total + of(each), 0);
  const failed = sum((each) => each.failed);
  process.exitCode = failed === 0 && results.length > 0 ? 0 : 1;
  console.log(`${sum((each) => each.passed)} passed, ${failed} failed`);
}

await main();
