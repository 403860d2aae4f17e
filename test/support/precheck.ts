import type { PrecheckLimits } from '../../functions/api/precheck/check.ts';
import { findingsOf, reportOf } from '../../functions/api/precheck/report.ts';
import { type PrecheckRequest, runPrecheck } from '../../functions/api/precheck/run.ts';
import type { PrecheckReport } from '../../shared/client/precheck-report.ts';
import type { Target } from '../../shared/postgres/connect.ts';
import {
  type Direction,
  type Pair,
  type Task,
  type TaskState,
  taskConfig,
  taskIdOf,
} from '../../shared/task/schema.ts';
import type { TestDatabase } from './database.ts';

export type PrecheckSetting = {
  readonly a: TestDatabase;
  readonly b: TestDatabase;
  readonly direction?: Direction;
  /** Of the pair; one unless said otherwise. */
  readonly shards?: number;
  /** Of the task that is checked; all of schema public unless said otherwise. */
  readonly config?: object;
  /** Of the other task, which then is configured. */
  readonly opposite?: { readonly config?: object; readonly state?: TaskState };
  readonly limits?: Partial<PrecheckLimits>;
  readonly items?: readonly string[];
  readonly tls?: Target['tls'];
  readonly prepared?: PrecheckRequest['prepared'];
  readonly plan?: PrecheckRequest['plan'];
};

const everything = { objects: { include: [{ schema: 'public', table: '*' }] } };

export const targetOfDatabase = (database: TestDatabase, tls: Target['tls'] = 'disable'): Target => ({
  ...{ host: database.server.host, port: database.server.port, database: database.name },
  ...{ user: database.user, password: database.password, tls },
});

const taskOf = (direction: Direction, state: TaskState): Task => ({
  ...{
    id: taskIdOf('precheck', direction),
    pairId: 'precheck',
    direction,
    state,
    version: 1,
    configVersion: 1,
  },
  ...{ generation: 0, autoStart: false, events: [], createdAt: '', updatedAt: '' },
});

/** Runs the precheck on two test databases, without the API around it. */
export async function precheck(setting: PrecheckSetting): Promise<PrecheckReport> {
  const { a, b, direction = 'forward', shards = 1, config = {}, opposite, limits, items } = setting;
  const endpoint = (database: TestDatabase) => {
    const { password: _password, ...rest } = targetOfDatabase(database);
    return { ...rest, secret: 'local:none' };
  };
  const pair: Pair = {
    ...{ id: 'precheck', name: 'test', pool: 'default', arbiter: 'b', shards, createdAt: '' },
    sides: { a: endpoint(a), b: endpoint(b) },
  };
  const other = direction === 'forward' ? 'reverse' : 'forward';
  const { findings, tables } = await runPrecheck({
    pair,
    task: taskOf(direction, 'Prechecking'),
    config: taskConfig.parse({ ...everything, ...config }),
    opposite: opposite && {
      task: taskOf(other, opposite.state ?? 'Running'),
      config: taskConfig.parse({ ...everything, ...opposite.config }),
    },
    targetOf: async (side) => targetOfDatabase(side === 'a' ? a : b, side === 'a' ? setting.tls : 'disable'),
    prepared: setting.prepared,
    plan: setting.plan,
    connectTimeoutMs: 3000,
    ...(limits ? { limits } : {}),
    items,
  });
  return reportOf({ at: '', milliseconds: 0, configVersion: 1, tables, findings, ignored: [] });
}

/** What one item finds. */
export async function checkItem(item: string, setting: PrecheckSetting) {
  const report = await precheck({ ...setting, items: [item] });
  const found = findingsOf(report).find((finding) => finding.item === item);
  if (!found) throw new Error(`The report has no item ${item}`);
  return found;
}

/** Runs the statements that an item prints, as superuser, as its reader would. */
export async function applyFix(
  { fix }: Awaited<ReturnType<typeof checkItem>>,
  { a, b, direction = 'forward' }: PrecheckSetting,
): Promise<void> {
  for (const { side, sql } of fix)
    await ((side === 'source') === (direction === 'forward') ? a : b).superuserRows(sql);
}
