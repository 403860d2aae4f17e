import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export type SecondCapture = { end(): Promise<void> };

/** Another capture service beside the platform's own. It ends with this process. */
export function startSecondCapture(
  env: Readonly<Record<string, string>>,
  onLine: (line: string) => void,
): SecondCapture {
  const file = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
  const child = spawn(
    process.execPath,
    [
      '--import',
      new URL('../../infra/local/end-with-parent.ts', import.meta.url).href,
      file('functions/capture/main.ts'),
    ],
    { env, stdio: ['pipe', 'pipe', 'pipe'] },
  );
  for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', onLine);
  return {
    async end() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}
