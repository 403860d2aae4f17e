import type { Repository } from '../../shared/task/repository.ts';
import type { Task, TaskStatus } from '../../shared/task/schema.ts';

/** What an answer in Prometheus' text format is called. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

type Seen = { readonly task: Task; readonly status: TaskStatus | undefined };
type Sample = { readonly labels?: Readonly<Record<string, string>>; readonly value: number };
type Family = {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  /** Samples of one task; its own labels are added. */
  readonly of: (seen: Seen, now: Date) => readonly Sample[];
};

const figure =
  (read: (status: TaskStatus) => number | null) =>
  ({ status }: Seen): Sample[] => {
    const value = status ? read(status) : null;
    return value === null ? [] : [{ value }];
  };

const families: readonly Family[] = [
  {
    ...{ name: 'pgtwin_task_state', type: 'gauge', help: '1 for the state that the task is in.' },
    of: ({ task }) => [{ labels: { state: task.state }, value: 1 }],
  },
  {
    ...{ name: 'pgtwin_task_generation', type: 'gauge', help: 'Runs of the task since it was made.' },
    of: ({ task }) => [{ value: task.generation }],
  },
  {
    ...{ name: 'pgtwin_status_age_seconds', type: 'gauge', help: 'Age of the figures of the task.' },
    of: ({ status }, now) =>
      status ? [{ value: Math.max(0, (now.getTime() - Date.parse(status.at)) / 1000) }] : [],
  },
  {
    name: 'pgtwin_latency_seconds',
    type: 'gauge',
    help: 'How far the destination is behind the source; 0 when nothing is on its way.',
    of: figure((s) => s.latencySeconds),
  },
  {
    ...{ name: 'pgtwin_rows_applied_total', type: 'counter', help: 'Changes of rows that were applied.' },
    of: figure((s) => s.rowsApplied),
  },
  {
    ...{
      name: 'pgtwin_transactions_applied_total',
      type: 'counter',
      help: 'Transactions that were applied.',
    },
    of: figure((s) => s.transactionsApplied),
  },
  {
    ...{ name: 'pgtwin_conflicts_total', type: 'counter', help: 'Conflicts that were met, by kind.' },
    of: ({ status }) =>
      Object.entries(status?.conflictsByKind ?? {}).map(([kind, value]) => ({ labels: { kind }, value })),
  },
  {
    ...{
      name: 'pgtwin_retries_total',
      type: 'counter',
      help: 'Interruptions that the task was retried after.',
    },
    of: figure((s) => s.retries ?? null),
  },
  {
    ...{ name: 'pgtwin_rows_per_second', type: 'gauge', help: 'Changes of rows applied per second.' },
    of: figure((s) => s.rowsPerSecond),
  },
  {
    ...{ name: 'pgtwin_bytes_per_second', type: 'gauge', help: 'Bytes sent per second.' },
    of: figure((s) => s.bytesPerSecond),
  },
  {
    ...{ name: 'pgtwin_wal_retained_bytes', type: 'gauge', help: 'WAL that the slot of the task keeps.' },
    of: figure((s) => s.walRetainedBytes),
  },
  {
    ...{ name: 'pgtwin_copy_rows_total', type: 'counter', help: 'Rows that the full copy has copied.' },
    of: figure((s) => s.copy?.rowsDone ?? null),
  },
  {
    ...{ name: 'pgtwin_copy_ratio', type: 'gauge', help: 'Share of the full copy that is done, 0 to 1.' },
    of: figure((s) => (s.copy ? s.copy.percent / 100 : null)),
  },
];

/** The figures of all tasks in Prometheus' text format: names, types, help, labels task, pair and direction. */
export async function metricsText(repository: Repository, now: Date): Promise<string> {
  const tasks = await repository.listTasks();
  const seen = await Promise.all(
    tasks.map(async (task) => ({ task, status: await repository.getStatus(task.id) })),
  );
  return `${families.flatMap((family) => linesOf(family, seen, now)).join('\n')}\n`;
}

function linesOf({ name, type, help, of }: Family, seen: readonly Seen[], now: Date): string[] {
  const samples = seen.flatMap((each) =>
    of(each, now).map(({ labels, value }) => {
      const { id, pairId, direction } = each.task;
      return `${name}{${labelsText({ task: id, pair: pairId, direction, ...labels })}} ${value}`;
    }),
  );
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...samples];
}

const labelsText = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([name, value]) => `${name}="${value.replace(/["\\\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`))}"`)
    .join(',');
