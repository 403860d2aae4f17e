import type { IgnoredItem, PrecheckReport } from '../../../shared/client/precheck-report.ts';
import { PgtwinError } from '../../../shared/errors/pgtwin-error.ts';
import { targetOf } from '../../../shared/task/ports.ts';
import { readPrepared } from '../../../shared/task/prepared.ts';
import { oppositeTask, type Pair, type Task } from '../../../shared/task/schema.ts';
import { readShardPlan } from '../../../shared/task/shard-plan.ts';
import { type ApiDeps, connectTimeoutOf } from '../deps.ts';
import { itemNames } from './checks.ts';
import { type Finding, findingsOf, reportOf } from './report.ts';
import { runPrecheck } from './run.ts';
import { getReport, putReport } from './store.ts';

/** A precheck that has not ended after this long has died with its process, and may be run again. */
const DEAD_AFTER_MS = 5 * 60_000;

export type PrecheckOrder = {
  readonly pair: Pair;
  readonly task: Task;
  readonly actor: string;
  readonly ignore?: readonly string[];
  readonly ignoreAlerts?: boolean;
  readonly items?: readonly string[] | undefined;
  /** Only what had not passed the last time. */
  readonly onlyOpen?: boolean;
};

/**
 * Runs the precheck of a task, stores the report, and moves the task to PrecheckPassed or PrecheckFailed. What was
 * ignored before stays ignored as long as the configuration is the same.
 */
export async function runTaskPrecheck(deps: ApiDeps, order: PrecheckOrder): Promise<PrecheckReport> {
  const { repository } = deps;
  const { pair, task, actor } = order;
  assertKnown([...(order.ignore ?? [])], 'ignore');
  assertKnown([...(order.items ?? [])], 'items');
  assertConfigured(task);
  await endDeadPrecheck(deps, task);
  const moved = await repository.move(task.id, 'precheck', { cause: 'precheck was asked for', actor });
  try {
    const start = performance.now();
    const other = await repository.getTask(oppositeTask(task.id));
    const old = await getReport(repository.table, task.id);
    const before = old?.configVersion === moved.configVersion ? old : undefined;
    const again = before && (order.items ?? (order.onlyOpen ? openOf(before) : undefined));
    const { findings, tables } = await runPrecheck({
      ...{ pair, task: moved, config: await repository.getConfig(moved) },
      opposite:
        other.configVersion > 0 && other.state !== 'Released'
          ? { task: other, config: await repository.getConfig(other) }
          : undefined,
      targetOf: (side) => targetOf(pair.sides[side], deps.secrets),
      connectTimeoutMs: connectTimeoutOf(deps),
      limits: deps.mostTables === undefined ? {} : { mostTables: deps.mostTables },
      prepared: await readPrepared(repository.table, task.id),
      plan: (await readShardPlan(repository.table, pair.id))?.plan,
      items: again,
    });
    const all = before && again ? merged(findingsOf(before), findings) : findings;
    const report = reportOf({
      at: deps.now().toISOString(),
      milliseconds: Math.round(performance.now() - start),
      configVersion: moved.configVersion,
      ...{ tables, findings: all },
      ignored: ignoredBy(order, all, before?.ignored ?? [], deps.now()),
    });
    return await conclude(deps, task, report);
  } catch (error) {
    const why = { cause: 'the precheck itself failed', actor: 'api' };
    await repository.tryMove(task.id, 'precheck-failed', why).catch(() => false);
    throw error;
  }
}

/** Ignores one item of the newest report; the task passes if that was the last one. */
export async function ignoreItem(
  deps: ApiDeps,
  { task, item, actor }: { task: Task; item: string; actor: string },
): Promise<PrecheckReport> {
  const report = await getReport(deps.repository.table, task.id);
  if (!report || report.configVersion !== task.configVersion)
    throw new PgtwinError('not-found', {
      detail: `Task ${task.id} has no precheck of its present configuration. Run it first.`,
    });
  const found = report.items.find((each) => each.item === item);
  const refuse = (why: string) =>
    new PgtwinError('invalid-request', { field: 'item', detail: `item: ${why}.` });
  if (!found) throw refuse(`the report has no item ${item}`);
  if (found.status === 'passed') throw refuse(`${item} has passed`);
  if (!found.ignorable) throw refuse(`${item} can not be ignored`);
  if (found.ignored) return report;
  await deps.repository.move(task.id, 'precheck', { cause: `item ${item} is to be ignored`, actor });
  const at = deps.now().toISOString();
  const ignored = [...report.ignored, { item, by: actor, at }];
  return conclude(deps, task, reportOf({ ...report, findings: findingsOf(report), ignored }));
}

/** Stores the report, then moves the task: a task that has passed always has its report. */
async function conclude(
  { repository }: ApiDeps,
  task: Task,
  report: PrecheckReport,
): Promise<PrecheckReport> {
  // Released or removed meanwhile: nothing may be left in its partition.
  const { state } = await repository.getTask(task.id);
  if (state !== 'Prechecking')
    throw new PgtwinError('action-not-allowed', { detail: `The task became ${state} during its precheck.` });
  const stored = await putReport(repository.table, task.id, report);
  const open = report.items.filter((each) => each.status !== 'passed' && !each.ignored);
  await repository.tryMove(task.id, report.ready ? 'precheck-passed' : 'precheck-failed', {
    cause: report.ready
      ? `${report.items.length} items passed or are ignored`
      : `success rate ${report.successRate} %: ${open.map(({ item }) => item).join(', ')}`,
    actor: 'api',
  });
  return stored;
}

/** Also what is ignored: it may have gone meanwhile. */
const openOf = (report: PrecheckReport): string[] =>
  report.items.filter(({ status }) => status !== 'passed').map(({ item }) => item);

function assertConfigured(task: Task): void {
  if (task.configVersion === 0)
    throw new PgtwinError('action-not-allowed', {
      detail: `Task ${task.id} has no configuration yet. Configure it first.`,
    });
}

function assertKnown(items: readonly string[], field: string): void {
  const unknown = items.find((item) => !itemNames.includes(item));
  if (unknown !== undefined)
    throw new PgtwinError('invalid-request', {
      field,
      detail: `${field}: there is no item ${unknown}; there are ${itemNames.join(', ')}.`,
    });
}

async function endDeadPrecheck({ repository, now }: ApiDeps, task: Task): Promise<void> {
  if (task.state !== 'Prechecking' || now().getTime() - Date.parse(task.updatedAt) < DEAD_AFTER_MS) return;
  const why = { cause: 'the precheck before this one never ended', actor: 'api' };
  await repository.tryMove(task.id, 'precheck-failed', why);
}

/** The new findings in the place of the old ones. */
function merged(old: readonly Finding[], fresh: readonly Finding[]): Finding[] {
  const byItem = new Map(fresh.map((finding) => [finding.item, finding]));
  return old.map((finding) => byItem.get(finding.item) ?? finding);
}

function ignoredBy(
  { ignore = [], ignoreAlerts = false, actor }: PrecheckOrder,
  findings: readonly Finding[],
  before: readonly IgnoredItem[],
  now: Date,
): IgnoredItem[] {
  const alerts = ignoreAlerts ? findings.filter((f) => f.status === 'alert' && f.ignorable) : [];
  const named = new Set([...ignore, ...alerts.map(({ item }) => item)]);
  for (const { item } of before) named.delete(item);
  return [...before, ...[...named].map((item) => ({ item, by: actor, at: now.toISOString() }))];
}
