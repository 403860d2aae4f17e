import { fileURLToPath } from 'node:url';
import { openFunctionHost } from './function-host.ts';

const EVERY_MS = 60_000;

/** Runs the monitor's function once a minute, as the schedule does on AWS. */
export function startMonitor(options: {
  readonly env: Readonly<Record<string, string>>;
  readonly onLine: (line: string) => void;
}): { stop(): Promise<void> } {
  const { env, onLine } = options;
  const host = openFunctionHost({
    entry: fileURLToPath(new URL('../../functions/monitor/handler.ts', import.meta.url)),
    functionName: 'monitor',
    env,
    concurrency: 1,
    memoryMb: 128,
    timeoutMs: EVERY_MS,
    onLine,
  });
  const timer = setInterval(() => {
    host
      .invoke({})
      .catch((error: Error) =>
        onLine(JSON.stringify({ level: 'error', text: 'monitor failed', error: error.message })),
      );
  }, EVERY_MS);
  return {
    async stop() {
      clearInterval(timer);
      await host.kill();
    },
  };
}
