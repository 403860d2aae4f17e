import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { binariesOf, majors } from './support/postgres-versions.ts';
import { countsOf } from './support/vitest-report.ts';

/**
 * `npm run test:matrix [-- --pairs 15-18,17-17] [FILE...]`: the tests on PostgreSQL with every version on both sides,
 * and with the oldest and the newest facing each other. Prints a table; fails if any pair fails or can not be had.
 */
type Pair = { readonly a: number; readonly b: number };
type Row = {
  readonly pair: Pair;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly seconds: number;
  readonly notes: readonly string[];
};

const root = path.join(import.meta.dirname, '..');
const output = path.join(root, 'test', 'output', 'matrix');
const everyPair: readonly Pair[] = [
  ...majors.map((major) => ({ a: major, b: major })),
  { a: 15, b: 18 },
  { a: 18, b: 15 },
];
const nameOf = ({ a, b }: Pair): string => `${a}-${b}`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { pairs: { type: 'string' } },
  });
  const pairs = values.pairs ? values.pairs.split(',').map(parsePair) : everyPair;
  mkdirSync(output, { recursive: true });
  const rows: Row[] = [];
  for (const pair of pairs) {
    const row = await runPair(pair, positionals);
    rows.push(row);
    console.log(lineOf(row));
    for (const note of row.notes) console.log(`    ${note}`);
  }
  console.log(
    `\n${['PostgreSQL', 'passed', 'failed', 'skipped', 'seconds'].map((name) => name.padStart(10)).join('')}`,
  );
  for (const row of rows) console.log(lineOf(row));
  process.exitCode = rows.every(({ passed, failed }) => passed > 0 && failed === 0) ? 0 : 1;
}

function parsePair(text: string): Pair {
  const [a = 0, b = 0] = text.split('-').map(Number);
  if (!majors.includes(a) || !majors.includes(b)) throw new Error(`"${text}" is no pair like 15-18.`);
  return { a, b };
}

async function runPair(pair: Pair, files: readonly string[]): Promise<Row> {
  const started = performance.now();
  const finish = (counts: Pick<Row, 'passed' | 'failed' | 'skipped' | 'notes'>): Row => ({
    pair,
    ...counts,
    seconds: Math.round((performance.now() - started) / 1000),
  });
  try {
    const [a, b] = [await binariesOf(pair.a), await binariesOf(pair.b)];
    const file = path.join(output, nameOf(pair));
    rmSync(`${file}.json`, { force: true }); // one of an earlier run
    const code = await runVitest(files, file, {
      PGTWIN_TEST_PG_BIN_A: a ?? '',
      PGTWIN_TEST_PG_BIN_B: b ?? '',
    });
    const { failures, ...counts } = countsOf(`${file}.json`);
    if (code === 0) return finish({ ...counts, notes: [] });
    const notes = [...failures, `see ${path.relative(root, file)}.log`];
    return finish({ ...counts, failed: Math.max(1, counts.failed), notes });
  } catch (error) {
    return finish({ passed: 0, failed: 1, skipped: 0, notes: [(error as Error).message] });
  }
}

/** Its output goes to a file: six runs after each other are too much to read. */
function runVitest(
  files: readonly string[],
  file: string,
  env: Record<string, string>,
): Promise<number | null> {
  const log = openSync(`${file}.log`, 'w');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}.json`];
  const vitest = path.join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const child = spawn(process.execPath, [vitest, 'run', '--project', 'pg', ...reporters, ...files], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
}

const lineOf = ({ pair, ...row }: Row): string =>
  [nameOf(pair), row.passed, row.failed, row.skipped, row.seconds]
    .map((cell) => String(cell).padStart(10))
    .join('');

await main();
