import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ApiClient, openApiClient } from '../../infra/local/api-client.ts';
import { makePair, precheckPair, reachBoth, startPair } from '../../infra/local/pair-setup.ts';
import { Platform } from '../../infra/local/platform.ts';
import type { BenchDatabase, BenchDatabases } from './databases.ts';
import type { Replication } from './replication.ts';

export type TwinOptions = {
  readonly databases: BenchDatabases;
  /** Fields over the configuration of both tasks. */
  readonly config?: object;
  /** Told of what its parts log. */
  readonly onLine?: (line: string) => void;
};

/** pgtwin on the local platform: capture and API as processes, apply as a function behind an embedded queue. */
export class Twin implements Replication {
  readonly name = 'pgtwin';
  readonly platform: Platform;
  readonly #api: ApiClient;
  readonly #o: TwinOptions;
  readonly #stateDir: string;
  #pair: string | undefined;

  private constructor(platform: Platform, api: ApiClient, options: TwinOptions, stateDir: string) {
    this.platform = platform;
    this.#api = api;
    this.#o = options;
    this.#stateDir = stateDir;
  }

  static async start(options: TwinOptions): Promise<Twin> {
    const stateDir = await mkdtemp(join(tmpdir(), 'pgtwin-bench-state-'));
    const token = randomBytes(12).toString('hex');
    const platform = await Platform.start({
      stateDir,
      persistent: false,
      apiTokens: `bench:admin:${token}`,
      ...(options.onLine ? { onLine: options.onLine } : {}),
    });
    return new Twin(platform, openApiClient(platform.apiUrl, token), options, stateDir);
  }

  attach(): Promise<void> {
    const config = { types: { schema: false, full: false, incremental: true }, conflictingTables: 'ignore' };
    return this.#start(config);
  }

  attachWithCopy(): Promise<void> {
    return this.#start({});
  }

  async #start(more: object): Promise<void> {
    const { a, b } = this.#o.databases;
    const pair = await makePair(this.#api, {
      name: 'bench',
      sides: { a: sideOf(a), b: sideOf(b) },
      config: { objects: { include: [{ schema: 'bench' }] }, ...more, ...this.#o.config },
    });
    this.#pair = pair;
    const reports = await precheckPair(this.#api, pair);
    for (const [direction, { ready, items }] of Object.entries(reports))
      if (!ready)
        throw new Error(
          `The precheck of ${direction} failed: ${items.find((i) => i.status === 'failed')?.cause}`,
        );
    await startPair(this.#api, pair);
    await reachBoth(this.#api, pair, 'Running', { signal: AbortSignal.timeout(600_000), everyMs: 20 });
  }

  async detach(): Promise<void> {
    const pair = this.#pair;
    if (!pair) return;
    this.#pair = undefined;
    await this.#api.call('DELETE', `/v1/pairs/${pair}`);
    for (;;) {
      const { pairs } = await this.#api.call<{ pairs: { id: string }[] }>('GET', '/v1/pairs');
      if (!pairs.some(({ id }) => id === pair)) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  processes(): Readonly<Record<string, number>> {
    const { capturePid, apply } = this.platform;
    return {
      'queue and poller': process.pid,
      ...(capturePid ? { capture: capturePid } : {}),
      ...Object.fromEntries(apply.environments.map((pid, n) => [`apply ${n + 1}`, pid])),
    };
  }

  async stop(): Promise<void> {
    await this.platform.stop();
    await rm(this.#stateDir, { recursive: true, force: true });
  }
}

const sideOf = ({ server }: BenchDatabase) => {
  const { host, port, user, password } = server;
  return { host, port, database: 'bench', user, password, tls: 'disable' as const };
};
