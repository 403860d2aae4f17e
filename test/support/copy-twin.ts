import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { type InitializeOptions, initialize } from '../../functions/capture/initialize.ts';
import { runWork, type WorkDeps } from '../../functions/copy/run-work.ts';
import type { CopyStatus } from '../../shared/copy/progress.ts';
import { openLog } from '../../shared/log/log.ts';
import type { Target } from '../../shared/postgres/connect.ts';
import { type Clock, targetOf, type WorkQueue } from '../../shared/task/ports.ts';
import { Repository } from '../../shared/task/repository.ts';
import {
  type Direction,
  type Endpoint,
  type TaskConfig,
  taskConfig,
  taskIdOf,
} from '../../shared/task/schema.ts';
import { openDatabase, type TestDatabase, type TestDatabaseOptions } from './database.ts';
import { type MemoryTable, openMemorySecretStore, openMemoryTable } from './memory-table.ts';

export const realClock: Clock = {
  now: () => new Date(),
  random: Math.random,
  async sleep(ms, signal) {
    await pause(ms, undefined, signal ? { signal } : {}).catch(() => {});
  },
};

/** A queue whose messages are run by the copy function's core in this process; a failed one comes back. */
export type TestWork = WorkQueue & {
  /** Every body that was sent. */
  readonly sent: string[];
  /** Changes what a message is delivered as; by default once, as it is. */
  deliver: (body: string, run: (body: string) => Promise<void>) => Promise<void>;
  /** Resolves when no delivery runs any more. */
  idle(): Promise<void>;
};

export type CopyTwin = AsyncDisposable & {
  readonly pair: string;
  readonly a: TestDatabase;
  readonly b: TestDatabase;
  readonly table: MemoryTable;
  readonly repository: Repository;
  readonly work: TestWork;
  readonly logged: string[];
  target(side: 'a' | 'b'): Promise<Target>;
  /** Configures a task and brings it to PrecheckPassed, or with `start` to Initializing. */
  configure(
    direction: Direction,
    config: unknown,
    options?: { start?: boolean; autoStart?: boolean },
  ): Promise<string>;
  initialize(
    direction: Direction,
    more?: Partial<Pick<InitializeOptions, 'signal' | 'onProgress'>>,
  ): ReturnType<typeof initialize>;
  readonly progress: CopyStatus[];
};

export async function openCopyTwin(options: {
  readonly a?: TestDatabaseOptions;
  readonly b?: TestDatabaseOptions;
  readonly shards?: number;
}): Promise<CopyTwin> {
  const { shards = 1 } = options;
  const [a, b] = await Promise.all([openDatabase('a', options.a), openDatabase('b', options.b)]);
  const table = openMemoryTable();
  const secrets = openMemorySecretStore();
  const repository = new Repository(table);
  const logged: string[] = [];
  const log = openLog({ levels: 'debug', write: (line) => logged.push(line) });
  const endpointOf = async (database: TestDatabase): Promise<Endpoint> => ({
    host: database.server.host,
    port: database.server.port,
    database: database.name,
    user: database.user,
    secret: await secrets.put(database.name, database.password),
    tls: 'disable',
  });
  const sides = { a: await endpointOf(a), b: await endpointOf(b) };
  // Slots and origins belong to the server, not to the database: each twin has names of its own.
  const pair = `p${randomBytes(5).toString('hex')}`;
  await repository.createPair({
    id: pair,
    name: 'test',
    pool: 'default',
    arbiter: 'b',
    shards,
    sides,
    createdAt: new Date().toISOString(),
  });
  const work = openTestWork({ repository, secrets, log, remainingMs: () => 60_000 });
  const progress: CopyStatus[] = [];
  const why = { cause: 'test', actor: 'test' };
  const configured = async (id: string) => {
    const task = await repository.getTask(id);
    return { task, config: await repository.getConfig(task) };
  };
  return {
    pair,
    a,
    b,
    table,
    repository,
    work,
    logged,
    progress,
    target: (side) => targetOf(sides[side], secrets),
    async configure(direction, config, { start = false, autoStart = false } = {}) {
      const id = taskIdOf(pair, direction);
      const parsed: TaskConfig = taskConfig.parse(config);
      await repository.configure(id, parsed, autoStart, why);
      await repository.move(id, 'precheck', why);
      await repository.move(id, 'precheck-passed', why);
      if (start) await repository.move(id, 'start', why);
      return id;
    },
    async initialize(direction, more = {}) {
      const other = await repository.getTask(taskIdOf(pair, direction === 'forward' ? 'reverse' : 'forward'));
      return initialize({
        ...(await configured(taskIdOf(pair, direction))),
        opposite: other.configVersion > 0 ? await configured(other.id) : undefined,
        arbiter: 'b',
        shards,
        source: await targetOf(direction === 'forward' ? sides.a : sides.b, secrets),
        destination: await targetOf(direction === 'forward' ? sides.b : sides.a, secrets),
        table,
        queue: work,
        copyQueueUrl: 'test:',
        clock: realClock,
        log,
        signal: new AbortController().signal,
        onProgress: (status) => progress.push(status),
        ...more,
      });
    },
    async [Symbol.asyncDispose]() {
      await work.idle();
      await Promise.all([a[Symbol.asyncDispose](), b[Symbol.asyncDispose]()]);
    },
  };
}

function openTestWork(deps: WorkDeps): TestWork {
  const running = new Set<Promise<void>>();
  const run = async (body: string): Promise<void> => {
    for (let receives = 1; ; receives++) {
      const again = await runWork([{ id: 'm', body, receives }], deps);
      if (again.length === 0) return;
      await pause(20);
    }
  };
  const work: TestWork = {
    sent: [],
    deliver: (body, once) => once(body),
    async sendWork(_url, bodies) {
      for (const body of bodies) {
        work.sent.push(body);
        const delivery: Promise<void> = work.deliver(body, run).finally(() => running.delete(delivery));
        running.add(delivery);
      }
    },
    async idle() {
      while (running.size > 0) await Promise.allSettled(running);
    },
  };
  return work;
}
