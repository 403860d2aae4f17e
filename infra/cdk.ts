import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { PgtwinError } from '../shared/errors/pgtwin-error.ts';
import { projectFolder } from './build.ts';

export type CdkOptions = {
  readonly program?: 'cdk' | 'cdklocal';
  /** Added to that of this process. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly context?: Readonly<Record<string, string>>;
  /** Where the synthesized app goes; several deployments at once need one each. */
  readonly output?: string;
  /** Told each line; without it, the CDK has the terminal to itself and may ask. */
  readonly report?: (line: string) => void;
};

/** Runs the CDK's command line on the app of infra/aws; throws with the end of its output if it fails. */
export async function cdk(args: readonly string[], options: CdkOptions = {}): Promise<void> {
  const { program = 'cdk', environment = {}, context = {}, output, report } = options;
  const all = [
    join(projectFolder, 'node_modules/.bin', program),
    ...args,
    ...Object.entries(context).flatMap(([name, value]) => ['--context', `${name}=${value}`]),
    // The app on the same Node as this process.
    ...['--app', `"${process.execPath}" app.ts`],
    ...(output ? ['--output', output] : []),
    ...['--no-notices', ...(report ? ['--ci'] : [])],
  ];
  const child = spawn(process.execPath, all, {
    cwd: join(projectFolder, 'infra/aws'),
    env: { ...process.env, CDK_DISABLE_CLI_TELEMETRY: 'true', ...environment },
    stdio: report ? ['ignore', 'pipe', 'pipe'] : 'inherit',
  });
  let tail = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      tail = (tail + text).slice(-4000);
      for (const line of text.split('\n').filter((l) => l.trim() !== '')) report?.(`  ${line}`);
    });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  });
  if (code === 0) return;
  const detail = `${program} ${args[0]} ended with code ${code}${tail ? `: ${tail.trim()}` : '.'}`;
  throw new PgtwinError('function-failed', { detail });
}
