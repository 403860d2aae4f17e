import type { Direction } from '../../shared/task/schema.ts';
import type { BenchDatabase, BenchDatabases } from './databases.ts';
import type { Home } from './homes.ts';
import type { Replication } from './replication.ts';

export type TwinOptions = {
  readonly databases: BenchDatabases;
  /** Fields over the configuration of both tasks. */
  readonly config?: object;
  /** Shards of the pair, unless a piece of work says it. */
  readonly shards?: number;
};

/** A pair of pgtwin on one of its platforms, worked through the API. */
export class Twin implements Replication {
  readonly name = 'pgtwin';
  readonly home: Home;
  readonly #o: TwinOptions;
  /** The id of the attached pair. */
  pair: string | undefined;

  constructor(home: Home, options: TwinOptions) {
    this.home = home;
    this.#o = options;
  }

  /** `more` are fields over the configuration of both tasks. */
  async attach(more: object = {}, shards = this.#o.shards): Promise<void> {
    const config = { types: { schema: false, full: false, incremental: true }, conflictingTables: 'ignore' };
    await this.#configure({ ...config, ...more }, shards);
    await this.#startForward();
    await this.#untilRunning('forward', 'reverse');
  }

  /** `more` as in `attach`. */
  async prepareCopy(more: object = {}): Promise<void> {
    await this.#configure(more, this.#o.shards);
  }

  /** Until the copied direction runs, as native replication is measured; the other one starts behind it. */
  async copy(): Promise<void> {
    await this.#startForward();
    await this.#untilRunning('forward');
  }

  async settle(): Promise<void> {
    await this.#untilRunning('forward', 'reverse');
  }

  async #configure(more: object, shards = 1): Promise<void> {
    const { a, b } = this.#o.databases;
    const { id } = await this.#call<{ id: string }>('POST', '/v1/pairs', {
      name: 'bench',
      shards,
      sides: { a: this.#sideOf(a), b: this.#sideOf(b) },
    });
    this.pair = id;
    const config = { objects: { include: [{ schema: 'bench' }] }, ...more, ...this.#o.config };
    await this.#call('POST', `/v1/pairs/${id}/configure`, {
      forward: config,
      reverse: { ...config, autoStart: true },
    });
    const { forward } = await this.#call<Prechecked>('POST', `/v1/pairs/${id}/precheck`, {
      ignoreAlerts: true,
    });
    if (!forward.ready)
      throw new Error(JSON.stringify(forward.items.filter(({ status }) => status === 'failed')));
  }

  async #startForward(): Promise<void> {
    await this.#call('POST', `/v1/pairs/${this.pair}/tasks/forward/start`);
  }

  async #untilRunning(...directions: Direction[]): Promise<void> {
    for (;;) {
      const { tasks } = await this.#call<PairView>('GET', `/v1/pairs/${this.pair}`);
      const failed = Object.values(tasks).find(({ state }) => state === 'Failed');
      if (failed) throw new Error(`A task failed: ${JSON.stringify(failed.error)}`);
      if (directions.every((direction) => tasks[direction]?.state === 'Running')) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** The error of a task that fails now. */
  async untilFailed(direction: Direction): Promise<string> {
    for (;;) {
      const { tasks } = await this.#call<PairView>('GET', `/v1/pairs/${this.pair}`);
      const { state, error } = tasks[direction]!;
      if (state === 'Failed') return JSON.stringify(error);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Nothing is read or applied any more; the slots keep what comes. */
  async pause(): Promise<void> {
    for (const direction of ['forward', 'reverse']) {
      const path = `/v1/pairs/${this.pair}/tasks/${direction}`;
      await this.#call('POST', `${path}/pause`);
      while ((await this.#call<{ state: string }>('GET', path)).state !== 'Paused')
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async detach(): Promise<void> {
    const pair = this.pair;
    if (!pair) return;
    this.pair = undefined;
    await this.#call('DELETE', `/v1/pairs/${pair}`);
    for (;;) {
      const { pairs } = await this.#call<{ pairs: { id: string }[] }>('GET', '/v1/pairs');
      if (!pairs.some(({ id }) => id === pair)) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async #call<Result>(method: string, path: string, body?: object): Promise<Result> {
    const response = await fetch(`${this.home.apiUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.home.token}`, 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
    return (text ? JSON.parse(text) : null) as Result;
  }

  processes(): Readonly<Record<string, number>> {
    return this.home.processes();
  }

  #sideOf({ host, server }: BenchDatabase) {
    const { port, user, password } = server;
    return {
      host: this.home.reached(host),
      port,
      database: 'bench',
      user,
      password,
      tls: 'disable' as const,
    };
  }
}

type Prechecked = { forward: { ready: boolean; items: { status: string }[] } };
type PairView = { tasks: Record<string, { state: string; error?: object }> };
