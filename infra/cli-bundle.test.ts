import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startApi } from '../functions/api/entry-node.ts';
import { openTestApi, storePair, tokens } from '../test/support/api.ts';
import { buildFunctions, projectFolder } from './build.ts';

test('the bundle is a program by itself, like the source, and small', async () => {
  const output = mkdtempSync(join(tmpdir(), 'pgtwin-cli-'));
  onTestFinished(() => rmSync(output, { recursive: true, force: true }));
  const [built] = await buildFunctions({ only: ['cli'], output });
  // Of the API there are only types in it.
  expect(built?.bytes).toBeLessThan(1_000_000);
  const api = openTestApi();
  await storePair(api);
  const server = await startApi(api.deps, { port: 0 });
  onTestFinished(() => server.stop());
  // The file names `node` as what runs it: here, the one that runs this test.
  const env = { PATH: dirname(process.execPath), PGTWIN_API: server.url, PGTWIN_TOKEN: tokens.viewer };
  const list = (file: string, args: readonly string[]): Promise<string> =>
    new Promise((done, failed) =>
      execFile(file, [...args, 'pair', 'list'], { env, cwd: output }, (error, out) =>
        error ? failed(error) : done(out),
      ),
    );
  const bundled = await list('/usr/bin/env', ['node', built!.file]);
  expect(bundled).toMatch(/^ID +NAME +A +B +FORWARD +REVERSE\npair0001 +shop +a.example.com:5432\/shop/);
  expect(await list(process.execPath, [join(projectFolder, 'functions/cli/main.ts')])).toBe(bundled);
  const refused = spawnSync(built!.file, ['pair', 'list', '--frob'], { env, encoding: 'utf8' });
  expect(refused).toMatchObject({ status: 2, stderr: expect.stringMatching(/unknown option --frob/) });
});
