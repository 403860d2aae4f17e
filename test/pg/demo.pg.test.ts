import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startChild } from '../support/child.ts';

const entry = 'infra/demo/main.ts';
/** Temporary files of one demo. `left` names what it has not removed. */
function makeTemp() {
  const folder = mkdtempSync(join(tmpdir(), 'demo-'));
  // The servers may run as another user.
  chmodSync(folder, 0o755);
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return {
    env: { TMPDIR: folder },
    // A copy of the binaries, where others could not reach them, is meant to stay.
    left: () => readdirSync(folder).filter((name) => !name.startsWith('pgtwin-postgres-')),
  };
}
const small = ['--seconds', '3', '--rows', '5000'];

test('the demo keeps two databases equal, says so in its last line, and leaves nothing', async () => {
  const temp = makeTemp();
  const demo = startChild(entry, small, temp.env);
  expect(await demo.ended, demo.lines.join('\n')).toBe(0);
  await demo.gone();
  const summary = JSON.parse(demo.lines.at(-1) ?? '');
  expect(summary).toMatchObject({ converged: true, differences: 0 });
  expect(summary.rowsCompared).toBeGreaterThan(10_000);
  expect(summary.rows).toBeGreaterThan(5_000);
  // Five on purpose; a unique value may be found in conflict by both rows.
  expect(summary.conflicts).toBeGreaterThanOrEqual(5);
  expect(Object.keys(summary.latencyMs)).toEqual(['p50', 'p99']);
  expect(demo.lines.join('\n')).not.toContain('\u001b[');
  expect(temp.left()).toEqual([]);
});

test('Ctrl-C while both sides are written to stops everything', async () => {
  const temp = makeTemp();
  const demo = startChild(entry, ['--seconds', '60', '--rows', '2000'], temp.env);
  await demo.line(/^ +2 s /, 100_000);
  demo.signalAll('SIGINT');
  expect(await demo.ended, demo.lines.join('\n')).toBe(130);
  await demo.gone();
  expect(temp.left()).toEqual([]);
});

test('an option that makes no sense is named', async () => {
  const demo = startChild(entry, ['--rows', 'many']);
  expect(await demo.ended).toBe(1);
  expect(demo.lines.join('\n')).toContain('--rows must be a whole number');
});
