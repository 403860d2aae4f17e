import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { open, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { PostgresBinaries } from './postgres-binaries.ts';

/** PostgreSQL's own names of the ways to stop (manual, 18.5): `fast` rolls back and shuts down, `immediate` crashes. */
export type StopMode = 'fast' | 'immediate';
const signalOf = { fast: 'SIGINT', immediate: 'SIGQUIT' } as const;

export type PostgresProcess = {
  readonly pid: number;
  /** True until the server process has ended, for whatever reason. */
  running(): boolean;
  stop(mode: StopMode): Promise<void>;
};

type Launch = {
  readonly binaries: PostgresBinaries;
  readonly dataDir: string;
  /** Folders to remove when the server stops because its owner died. */
  readonly disposable: readonly string[];
};

/**
 * Starts `postgres` and waits until it takes connections. The server stands in a process group of its own, so that
 * Ctrl-C in a terminal reaches only us, and is stopped by a watchdog when this process ends in any way, `kill -9`
 * included: the watchdog is a shell that waits for the end of a pipe only we hold open.
 */
export async function launchPostgres({ binaries, dataDir, disposable }: Launch): Promise<PostgresProcess> {
  const logFile = join(dataDir, 'server.log');
  const log = await open(logFile, 'a', 0o600);
  const logStart = (await log.stat()).size;
  let child: ChildProcess;
  try {
    child = spawn(join(binaries.binDir, 'postgres'), ['-D', dataDir], {
      ...binaries.user,
      cwd: '/',
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      env: { PATH: process.env['PATH'], LC_ALL: 'C' },
    });
  } finally {
    await log.close();
  }
  const pid = child.pid;
  if (pid === undefined) throw new PgtwinError('local-server-failed', { detail: 'postgres did not start.' });
  const running = (): boolean => child.exitCode === null && child.signalCode === null;
  const watchdog = watch(pid, disposable);
  child.once('exit', () => watchdog.kill('SIGKILL'));
  child.unref();

  const stop = async (mode: StopMode): Promise<void> => {
    if (!running()) return;
    child.ref();
    const ended = once(child, 'exit');
    child.kill(signalOf[mode]);
    // A sender whose client does not read can hold a fast shutdown up for ever.
    const hurry = setTimeout(() => child.kill('SIGQUIT'), 20_000);
    await ended;
    clearTimeout(hurry);
  };

  while (!isReady(dataDir, pid)) {
    if (!running()) {
      const said = (await readFile(logFile)).subarray(logStart).toString();
      throw new PgtwinError('local-server-failed', {
        detail: `PostgreSQL ended while it started (${logFile}): ${lastComplaint(said)}`,
        portTaken: said.includes('Address already in use'),
      });
    }
    await pause(5);
  }
  return { pid, running, stop };
}

function watch(pid: number, disposable: readonly string[]): ChildProcess {
  // At most 30 s: where nobody collects dead processes, the server stays a zombie and seems alive.
  const script =
    'read -r end; kill -INT "$0"; i=0; while kill -0 "$0" && [ $i -lt 300 ]; do sleep 0.1; i=$((i+1)); done; rm -rf "$@"';
  const watchdog = spawn('sh', ['-c', script, String(pid), ...disposable], {
    detached: true,
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watchdog.unref();
  // The pipe is a socket for Node; it must neither keep the event loop alive nor complain when the shell is gone.
  watchdog.stdin?.on('error', () => undefined);
  (watchdog.stdin as unknown as { unref(): void }).unref();
  return watchdog;
}

/** The eighth line of postmaster.pid is the server's state (src/include/utils/pidfile.h); a standby stays one. */
function isReady(dataDir: string, pid: number): boolean {
  const lines = pidFileLines(dataDir);
  return lines[0] === String(pid) && ['ready', 'standby'].includes(lines[7]?.trim() ?? '');
}

function pidFileLines(dataDir: string): string[] {
  try {
    return readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n');
  } catch {
    return [];
  }
}

const lastComplaint = (log: string): string =>
  log.split('\n').findLast((line) => /FATAL|PANIC|ERROR/.test(line)) ?? log.trim().split('\n').at(-1) ?? '';

/**
 * Clears the way for a start on a folder that was in use before: a server that still runs there (its owner was
 * killed a moment ago) is stopped, a stale postmaster.pid is removed. A pid file whose number another program has
 * got since is stale, too. Throws if the server runs and so does the process that started it.
 */
export async function endFormerServer(dataDir: string, owner: number | undefined): Promise<void> {
  const pid = Number(pidFileLines(dataDir)[0]);
  if (!Number.isInteger(pid) || pid <= 1) return;
  if (isServerOf(pid, dataDir)) {
    if (owner !== undefined && send(owner, 0)) {
      throw new PgtwinError('local-server-failed', {
        detail: `${dataDir} is in use: process ${owner} runs a server on it (process ${pid}). Stop it first.`,
      });
    }
    const deadline = Date.now() + 30_000;
    send(pid, 'SIGINT');
    while (isServerOf(pid, dataDir)) {
      if (Date.now() > deadline) send(pid, 'SIGQUIT');
      await pause(20);
    }
  }
  await rm(join(dataDir, 'postmaster.pid'), { force: true });
}

function isServerOf(pid: number, dataDir: string): boolean {
  if (existsSync('/proc/self/cmdline')) {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(dataDir);
    } catch {
      return false;
    }
  }
  // Without /proc: a live process counts as the server; PostgreSQL's own check of its shared memory comes on top.
  return send(pid, 0);
}

function send(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/** A TCP port of the loopback interface that is free now. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  await new Promise((done) => probe.close(done));
  if (address === null || typeof address === 'string') {
    throw new PgtwinError('local-server-failed', { detail: 'No free TCP port.' });
  }
  return address.port;
}
