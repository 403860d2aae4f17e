import { execFile } from 'node:child_process';

export type RanCommand = { readonly code: number; readonly out: string; readonly err: string };

/** The command `pgtwin` as a user starts it. A line is cut at spaces. */
export const runCommand = (line: string, env: Readonly<Record<string, string>>): Promise<RanCommand> =>
  new Promise((done) => {
    const args = ['functions/cli/main.ts', ...line.split(' ')];
    const { PATH, NODE_COMPILE_CACHE } = process.env;
    const options = { env: { PATH, NODE_COMPILE_CACHE, ...env }, maxBuffer: 2 ** 26 };
    const child = execFile(process.execPath, args, options, (error, out, err) =>
      done({ code: error ? Number(error.code) : 0, out, err }),
    );
    child.stdin?.end();
  });
