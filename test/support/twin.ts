import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Platform, type PlatformOptions } from '../../infra/local/platform.ts';
import { openDatabase, type TestDatabase } from './database.ts';
import type { TestServer } from './global-postgres.ts';
import { differences } from './tables.ts';
import { until } from './wait.ts';

/** The local platform for the tests of one file: real queue, table, capture process, functions and API. */
export type TestPlatform = AsyncDisposable & {
  readonly platform: Platform;
  /** What its parts have logged so far, newest last. */
  readonly lines: readonly string[];
  /** Calls the API; throws with the problem document unless the status is 2xx. */
  call<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<T>;
};

const KEPT_LINES = 3_000;

export async function openPlatform(options: Partial<PlatformOptions> = {}): Promise<TestPlatform> {
  const stateDir = mkdtempSync(join(tmpdir(), 'pgtwin-test-'));
  const token = randomBytes(12).toString('hex');
  const lines: string[] = [];
  const platform = await Platform.start({
    stateDir,
    persistent: false,
    console: false,
    apiTokens: `test:admin:${token}`,
    leaseMs: 2_000,
    onLine: (line) => {
      lines.push(line);
      if (lines.length > KEPT_LINES) lines.shift();
      if (process.env['PGTWIN_TEST_LOG']) process.stderr.write(`${line}\n`);
    },
    ...options,
  });
  const call = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const response = await fetch(`${platform.apiUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text ? JSON.parse(text) : null) as T;
  };
  return {
    platform,
    lines,
    call,
    async [Symbol.asyncDispose]() {
      await platform.stop();
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}

export type TwinOptions = {
  /** SQL for side a (and b, if `both`) before the tasks start. */
  readonly schema: string;
  /** Run the schema on both sides, and copy no tables. */
  readonly both?: boolean;
  /** SQL for side b before the tasks start, where it is not the same. */
  readonly there?: string;
  readonly account?: 'superuser' | 'plain';
  /** Fields over the tasks' configuration. */
  readonly forward?: Record<string, unknown>;
  readonly reverse?: Record<string, unknown>;
  /** Only the forward task. */
  readonly oneWay?: boolean;
  readonly arbiter?: 'a' | 'b';
  /** Absent: one, so that transactions are whole. */
  readonly shards?: number;
  /** Done while the forward task starts. */
  readonly whileStarting?: (a: TestDatabase, b: TestDatabase) => Promise<void>;
  /** Servers of the test's own, which it may stop. */
  readonly servers?: { readonly a?: TestServer; readonly b?: TestServer };
  /** Where the tasks reach a side, instead of the database's own address. */
  readonly through?: { readonly a?: (url: string) => string; readonly b?: (url: string) => string };
};

type TaskView = { state: string; error?: { code: string; detail: string } | null };

/** Two databases of their own kept in step by a pair on the platform. Closing checks that nothing of it stays. */
export type Twin = AsyncDisposable & {
  readonly a: TestDatabase;
  readonly b: TestDatabase;
  readonly pair: string;
  task(direction: 'forward' | 'reverse'): Promise<TaskView>;
  act(direction: 'forward' | 'reverse', action: string): Promise<void>;
  reach(direction: 'forward' | 'reverse', ...states: string[]): Promise<void>;
  /** Waits until everything written so far on either side has arrived on the other. */
  settle(): Promise<void>;
  /** Row-by-row differences of the two databases. */
  differences(): Promise<unknown[]>;
  /** Lines of the conflict logs of both sides. */
  conflicts(): Promise<Record<string, string>[]>;
  /** Releases the pair and checks that nothing is left. */
  release(): Promise<void>;
};

export async function openTwin(on: Pick<TestPlatform, 'call'>, options: TwinOptions): Promise<Twin> {
  const { account = 'superuser', servers = {} } = options;
  const serverOf = (side: 'a' | 'b') => (servers[side] ? { server: servers[side] } : {});
  const a = await openDatabase('a', { schema: options.schema, account, ...serverOf('a') });
  const b = await openDatabase('b', {
    ...(options.both ? { schema: options.schema } : options.there ? { schema: options.there } : {}),
    account,
    ...serverOf('b'),
  });
  const reached = (side: 'a' | 'b', url: string) =>
    `${options.through?.[side]?.(url) ?? url}?sslmode=disable`;
  const { call } = on;
  const created = await call<{ id: string }>('POST', '/v1/pairs', {
    name: 'test',
    ...(options.arbiter ? { arbiter: options.arbiter } : {}),
    ...(options.shards ? { shards: options.shards } : {}),
    sides: { a: { url: reached('a', a.url) }, b: { url: reached('b', b.url) } },
  });
  const pair = created.id;
  const objects = { include: [{ schema: '*', table: '*' }] };
  const types = options.both ? { types: { schema: false, full: false, incremental: true } } : {};
  const base = { objects, ...types, ...(options.both ? { conflictingTables: 'ignore' } : {}) };
  const forward = { ...base, ...options.forward };
  const reverse = { ...base, autoStart: true, ...options.reverse };
  await call('POST', `/v1/pairs/${pair}/configure`, options.oneWay ? { forward } : { forward, reverse });
  let released = false;
  const directions = options.oneWay ? (['forward'] as const) : (['forward', 'reverse'] as const);
  const path = (direction: string) => `/v1/pairs/${pair}/tasks/${direction}`;
  const reach = async (direction: string, ...states: string[]): Promise<void> => {
    await until(
      `task ${direction} is ${states.join(' or ')}`,
      async (saw) => {
        const task = await call<TaskView>('GET', path(direction));
        saw(JSON.stringify([task.state, task.error]));
        if (task.state === 'Failed' && !states.includes('Failed'))
          throw new Error(`task ${direction} failed: ${JSON.stringify(task.error)}`);
        return states.includes(task.state);
      },
      { timeoutMs: 180_000 },
    );
  };
  for (const direction of directions) {
    const report = await call<{ items: { status: string; item: string; ignorable: boolean }[] }>(
      'POST',
      `${path(direction)}/precheck`,
    );
    for (const item of report.items.filter((i) => i.status !== 'passed' && i.ignorable))
      await call('POST', `${path(direction)}/precheck/ignore`, { item: item.item });
  }
  await call('POST', `${path('forward')}/start`);
  await options.whileStarting?.(a, b);
  for (const direction of directions) await reach(direction, 'Running');

  const release = async (): Promise<void> => {
    released = true;
    await call('DELETE', `/v1/pairs/${pair}`);
    await until(
      'the pair is gone',
      async (saw) => {
        const response = await call('GET', `/v1/pairs/${pair}`).then(
          JSON.stringify,
          (error: Error) => error.message,
        );
        saw(response);
        return response.includes(': 404');
      },
      { timeoutMs: 180_000 },
    );
    for (const side of [a, b]) {
      const left = await side.leftovers();
      if (left.length > 0) throw new Error(`left on side ${side.side}: ${left.join(', ')}`);
    }
  };
  const twin: Twin = {
    a,
    b,
    pair,
    reach,
    release,
    task: (direction) => call<TaskView>('GET', path(direction)),
    async act(direction, action) {
      await call('POST', `${path(direction)}/${action}`);
    },
    async settle() {
      // What one side's apply writes (outcomes, pulls) goes back and may cause more: quiet twice in a row.
      for (let quiet = 0; quiet < 2; ) quiet = (await passMarkers(twin, directions)) ? 0 : quiet + 1;
    },
    differences: () => differences(a, b),
    async conflicts() {
      const rows = await Promise.all(
        [a, b].map((side) => side.superuserRows(`select * from pgtwin.conflict order by id`)),
      );
      return rows.flat() as Record<string, string>[];
    },
    async [Symbol.asyncDispose]() {
      try {
        if (!released) await release();
      } finally {
        await a[Symbol.asyncDispose]();
        await b[Symbol.asyncDispose]();
      }
    },
  };
  return twin;
}

/** A position through the WAL of each side, seen at the other; true if control rows were met meanwhile. */
async function passMarkers(twin: Twin, directions: readonly ('forward' | 'reverse')[]): Promise<boolean> {
  const control = () =>
    Promise.all(
      [twin.a, twin.b].map(async (side) => {
        const rows = await side.superuserRows<{ n: string }>(
          `select coalesce(sum(coalesce(last_value, 0)), 0)::text as n from pg_sequences where schemaname = 'pgtwin'`,
        );
        return rows[0]!.n;
      }),
    );
  const before = JSON.stringify(await control());
  for (const direction of directions) {
    const [source, destination] = direction === 'forward' ? [twin.a, twin.b] : [twin.b, twin.a];
    const task = `${twin.pair}_${direction[0]}`;
    const [marker] = await source.superuserRows<{ lsn: string }>(
      `select pg_current_wal_insert_lsn()::text as lsn`,
    );
    // A heartbeat commits behind the marker and takes everything before it along; we do not wait for the next one.
    await source.superuserRows(`update pgtwin.heartbeat set at = now() where task = '${task}'`);
    await until(
      `${direction} has passed ${marker!.lsn}`,
      async (saw) => {
        const rows = await destination.superuserRows<{ passed: boolean; at: string }>(
          `select min(end_lsn) >= '${marker!.lsn}' as passed, min(end_lsn)::text as at from pgtwin.apply_progress where task = '${task}'`,
        );
        saw(rows[0]?.at ?? 'no progress row');
        return rows[0]?.passed;
      },
      { timeoutMs: 110_000 },
    );
  }
  return JSON.stringify(await control()) !== before;
}
