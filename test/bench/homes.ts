import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Platform } from '../../infra/local/platform.ts';
import { startLocalStack } from '../../localstack/start.ts';
import { openStack } from '../support/stack.ts';

export const homes = ['embedded', 'localstack'] as const;
export type HomeName = (typeof homes)[number];

/** A platform that pgtwin runs on. */
export type Home = {
  readonly apiUrl: string;
  readonly token: string;
  /** A host as the platform's parts reach it. */
  reached(host: string): string;
  /** Process numbers of its parts outside of the servers, as far as they are known. */
  processes(): Readonly<Record<string, number>>;
  /** The embedded platform itself. */
  readonly platform: Platform | undefined;
  stop(): Promise<void>;
};

export type HomeOptions = {
  /** Told of what its parts log. */
  readonly onLine?: (line: string) => void;
  /** Environment variables for all parts. */
  readonly variables?: Readonly<Record<string, string>>;
};

/** Capture and API as processes, apply and copy as functions behind an embedded queue. */
async function openEmbedded({ onLine, variables }: HomeOptions): Promise<Home> {
  const stateDir = await mkdtemp(join(tmpdir(), 'pgtwin-bench-state-'));
  const token = randomBytes(12).toString('hex');
  const platform = await Platform.start({
    stateDir,
    persistent: false,
    apiTokens: `bench:admin:${token}`,
    ...(variables ? { variables } : {}),
    ...(onLine ? { onLine } : {}),
  });
  return {
    token,
    platform,
    apiUrl: platform.apiUrl,
    reached: (host) => host,
    processes() {
      const { capturePid, apply, copy } = platform;
      return {
        'queue and poller': process.pid,
        ...(capturePid ? { capture: capturePid } : {}),
        ...Object.fromEntries(apply.environments.map((pid, n) => [`apply ${n + 1}`, pid])),
        ...Object.fromEntries(copy.environments.map((pid, n) => [`copy ${n + 1}`, pid])),
      };
    },
    async stop() {
      await platform.stop();
      await rm(stateDir, { recursive: true, force: true });
    },
  };
}

/** The deployed stack on LocalStack: its queues, tables and Lambda functions; the capture beside it. */
async function openLocalStack({ onLine }: HomeOptions): Promise<Home> {
  const localstack = await startLocalStack({ report: (line) => onLine?.(line) });
  const stack = await openStack(localstack).catch(async (error) => {
    await localstack.stop();
    throw error;
  });
  stack.startCapture();
  return {
    apiUrl: stack.apiUrl,
    token: stack.token,
    platform: undefined,
    reached: (host) => (host === '127.0.0.1' ? stack.hostSeenByFunctions : host),
    processes: () => (stack.capturePid ? { capture: stack.capturePid } : {}),
    async stop() {
      await stack[Symbol.asyncDispose]();
      await localstack.stop();
    },
  };
}

export const openHome = (name: HomeName, options: HomeOptions): Promise<Home> =>
  name === 'embedded' ? openEmbedded(options) : openLocalStack(options);
