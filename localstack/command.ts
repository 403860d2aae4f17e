import { execFile, spawnSync } from 'node:child_process';
import { PgtwinError } from '../shared/errors/pgtwin-error.ts';

type RunOptions = { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv };

/** Runs a program to its end and gives its standard output; throws with the end of its error output. */
export const run = (program: string, args: readonly string[], options: RunOptions = {}): Promise<string> =>
  new Promise((resolve, reject) => {
    execFile(program, args, { ...options, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (!error) return resolve(stdout);
      const output = `${stdout}\n${stderr}`.trim().slice(-2000);
      const detail = `${program} ${args.slice(0, 3).join(' ')} failed: ${output || error.message}`;
      reject(new PgtwinError('internal', { detail }, { cause: error }));
    });
  });

/** What a short question to a program answers (standard output, else error output), or null if it fails. */
export function ask(program: string, args: readonly string[]): string | null {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 15_000 });
  return status === 0 ? stdout.trim() || stderr.trim() : null;
}
