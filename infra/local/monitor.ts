import { fileURLToPath } from 'node:url';
import type { MonitorEvent } from '../../functions/monitor/handler.ts';
import { openFunctionHost } from './function-host.ts';

const EVERY_MS = 60_000;
/** A person waits for a verification: its steps come at once, and follow on each other. */
const WORK_EVERY_MS = 1_000;

/** Runs the monitor's function once a minute, as the schedule does on AWS. */
export function startMonitor(options: {
  readonly env: Readonly<Record<string, string>>;
  readonly onLine: (line: string) => void;
  /** How often all duties are done. */
  readonly everyMs?: number;
}): { stop(): Promise<void> } {
  const { env, onLine, everyMs = EVERY_MS } = options;
  const host = openFunctionHost({
    entry: fileURLToPath(new URL('../../functions/monitor/handler.ts', import.meta.url)),
    functionName: 'monitor',
    env,
    concurrency: 2,
    memoryMb: 256,
    timeoutMs: 2 * EVERY_MS,
    onLine,
  });
  const invoke = (event: MonitorEvent): Promise<unknown> =>
    host
      .invoke(event)
      .catch((error: Error) =>
        onLine(JSON.stringify({ level: 'error', text: 'monitor failed', error: error.message })),
      );
  const timer = setInterval(() => void invoke({}), everyMs);
  let works = false;
  const workTimer = setInterval(async () => {
    if (works) return;
    works = true;
    await invoke({ duties: ['verification'] });
    works = false;
  }, WORK_EVERY_MS);
  return {
    async stop() {
      clearInterval(timer);
      clearInterval(workTimer);
      await host.kill();
    },
  };
}
