import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { until } from './wait.ts';

/** One of our commands as a user starts it, in a process group of its own. */
export type Child = {
  readonly process: ChildProcess;
  /** What it printed so far, both streams, line by line. */
  readonly lines: readonly string[];
  /** The first line that matches; throws what was printed if the command ends without it. */
  line(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>;
  /** The exit code, or the signal's name. */
  readonly ended: Promise<number | string>;
  /** To the command and all that it started, as Ctrl-C in a terminal does, or `kill -9` of everything. */
  signalAll(signal: NodeJS.Signals): void;
  /** Resolves when nothing that it started runs any more. */
  gone(): Promise<void>;
};

const kept = Object.fromEntries(
  ['PATH', 'HOME', 'NODE_COMPILE_CACHE'].map((name) => [name, process.env[name]]),
);

/** Runs a `.ts` entry. The group is killed when this process ends. */
export function startChild(entry: string, args: readonly string[], env: Record<string, string> = {}): Child {
  const child = spawn(process.execPath, [entry, ...args], {
    env: { ...kept, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream! }).on('line', (line) => lines.push(line));
  const signalAll = (signal: NodeJS.Signals | 0): boolean => {
    try {
      return process.kill(-child.pid!, signal);
    } catch {
      return false;
    }
  };
  const end = (): void => void signalAll('SIGKILL');
  process.once('exit', end);
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  return {
    process: child,
    lines,
    ended,
    signalAll,
    line: (pattern, timeoutMs = 60_000) =>
      until(
        `a line like ${pattern}`,
        async (saw) => {
          saw(lines.slice(-20).join('\n'));
          for (const line of lines) {
            const found = pattern.exec(line);
            if (found) return found;
          }
          if (child.exitCode !== null)
            throw new Error(`ended with ${child.exitCode} without ${pattern}:\n${lines.join('\n')}`);
          return undefined;
        },
        { timeoutMs },
      ),
    async gone() {
      await until('all its processes to end', async () => !signalAll(0));
      process.off('exit', end);
    },
  };
}
