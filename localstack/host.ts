import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ask } from './command.ts';
import { hostFolder, installHost } from './install.ts';
import { endProcess, isSame } from './process.ts';
import { untilReady } from './ready.ts';
import { forget, note, noted, type Running } from './running.ts';
import { commonEnvironment, type LocalStack, type StartOptions } from './settings.ts';

/** Starts LocalStack as a process of this machine, with functions and DynamoDB Local as processes below it. */
export async function startOnHost(
  options: StartOptions & { port: number; logFile: string },
): Promise<LocalStack> {
  const { port, logFile, report = () => {} } = options;
  const endpoint = `http://127.0.0.1:${port}`;
  const install = await installHost(report);
  await forgetTheDead();
  const workFolder = mkdtempSync(path.join(os.tmpdir(), 'pgtwin-localstack-'));
  report(`starting LocalStack as a process of this machine, log in ${logFile}`);
  const log = openSync(logFile, 'w');
  const child = spawn(install.python, ['-m', 'localstack.runtime.main'], {
    cwd: workFolder,
    detached: true, // a group of its own: Ctrl-C reaches us, and we stop it in order
    // An open pipe that nothing is written to: its end tells LocalStack that we died.
    stdio: ['pipe', log, log],
    env: hostEnvironment({
      port,
      workFolder,
      ...install,
      ...(options.environment ? { more: options.environment } : {}),
    }),
  });
  closeSync(log);
  const ended = endOf(child);
  const running: Running = {
    kind: 'host',
    endpoint,
    pid: child.pid ?? 0,
    command: ask('ps', ['-o', 'command=', '-p', String(child.pid)]) ?? '',
    workFolder,
  };
  note(running);
  const stop = async () => {
    await stopOnHost(running);
    child.stdin?.destroy();
  };
  try {
    const failure = () => (ended.how ? `it ended with ${ended.how}: ${tail(logFile)}` : null);
    await untilReady({ endpoint, failure, timeoutMs: 120_000 });
  } catch (error) {
    await stop();
    throw error;
  }
  child.unref();
  (child.stdin as { unref?: () => void } | null)?.unref?.();
  return {
    kind: 'host',
    endpoint,
    port,
    logFile,
    hostSeenByFunctions: '127.0.0.1',
    untilEnded: () => ended.end,
    stop,
  };
}

/** Ends a LocalStack process with everything below it and removes its files; nothing if it is gone already. */
export async function stopOnHost(running: Running & { kind: 'host' }): Promise<void> {
  await endProcess({ pid: running.pid, command: running.command, graceMs: 15_000 });
  rmSync(running.workFolder, { recursive: true, force: true });
  forget(running);
}

/** Removes the files of those that ended without their starter. */
async function forgetTheDead(): Promise<void> {
  for (const each of noted())
    if (each.kind === 'host' && !isSame(each.pid, each.command)) await stopOnHost(each);
}

type HostSettings = {
  readonly port: number;
  readonly workFolder: string;
  readonly java: string;
  readonly jars: string;
  readonly more?: Readonly<Record<string, string>>;
};

/** All of LocalStack's environment: it reads many variables, so nothing of ours leaks in. */
function hostEnvironment({ port, workFolder, java, jars, more }: HostSettings): NodeJS.ProcessEnv {
  const folder = (name: string): string => {
    const made = path.join(workFolder, name);
    mkdirSync(made, { recursive: true });
    return made;
  };
  return {
    ...commonEnvironment(`127.0.0.1:${port}`),
    // Functions run on the Node that runs this file.
    PATH: `${path.dirname(process.execPath)}${path.delimiter}${process.env['PATH'] ?? ''}`,
    HOME: folder('home'),
    TMPDIR: folder('tmp'),
    LANG: process.env['LANG'] ?? 'C.UTF-8',
    PYTHONPATH: hostFolder,
    PYTHONUNBUFFERED: '1',
    LOCALSTACK_HOST: `localhost:${port}`,
    LAMBDA_RUNTIME_EXECUTOR: 'host',
    PGTWIN_MAPPING_FIRST_PAUSE_SEC: '0.02',
    SKIP_SSL_CERT_DOWNLOAD: '1',
    DNS_ADDRESS: '0',
    PGTWIN_JAVA: java,
    PGTWIN_DYNAMODB_JARS: jars,
    ...more,
  };
}

/** Notices how a child ended; `how` is null while it runs. */
function endOf(child: ChildProcess): { how: string | null; readonly end: Promise<void> } {
  const end = new Promise<void>((resolve) => {
    const finish = (how: string) => {
      state.how = how;
      resolve();
    };
    child.once('exit', (code, signal) => finish(signal ? `signal ${signal}` : `exit code ${code}`));
    child.once('error', (error) => finish(error.message));
  });
  const state: { how: string | null; readonly end: Promise<void> } = { how: null, end };
  return state;
}

const tail = (file: string): string => readFileSync(file, 'utf8').trim().split('\n').slice(-8).join('\n');
