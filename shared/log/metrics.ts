/** Names of metrics; the alarms in infra/aws use them too. */
export const METRIC_NAMESPACE = 'pgtwin';
export type Unit = 'Seconds' | 'Count' | 'Count/Second' | 'Bytes' | 'Bytes/Second';
export type Metric = { readonly name: string; readonly unit: Unit; readonly value: number };

/** One line of metrics: its dimensions make one time series a metric. */
export type Measured = {
  readonly dimensions: Readonly<Record<string, string>>;
  readonly metrics: readonly Metric[];
  /** Facts to search for in the logs that are no dimensions. */
  readonly facts?: Readonly<Record<string, string>>;
};
export type Emit = (measured: Measured) => void;

/** A log line from which CloudWatch takes metrics (embedded metric format): no call, no permission, no extra cost. */
export function metricLine(measured: Measured, at: Date): string {
  const { dimensions, metrics, facts = {} } = measured;
  return JSON.stringify({
    _aws: {
      Timestamp: at.getTime(),
      CloudWatchMetrics: [
        {
          Namespace: METRIC_NAMESPACE,
          Dimensions: [Object.keys(dimensions)],
          Metrics: metrics.map(({ name, unit }) => ({ Name: name, Unit: unit })),
        },
      ],
    },
    ...facts,
    ...dimensions,
    ...Object.fromEntries(metrics.map(({ name, value }) => [name, value])),
  });
}

const EVERY_MS = 60_000;

/** What parts count besides the monitor's figures; each is a sum over a minute. */
const counters = {
  RowsWritten: 'Count',
  TransactionsWritten: 'Count',
  ConflictsMet: 'Count',
  GapsMet: 'Count',
  ApplySeconds: 'Seconds',
  BytesSent: 'Bytes',
  MessagesSent: 'Count',
  Retries: 'Count',
} as const satisfies Record<string, Unit>;
export type Counter = keyof typeof counters;
export type Counted = Readonly<Partial<Record<Counter, number>>>;

/**
 * Sums up what happens to tasks and writes one line of metrics a minute and task: a line per message would cost more
 * than the message. What a process that is ended had not written is missing; the monitor's figures have it.
 */
export class TaskCounters {
  readonly #o: { environment: string; write: (line: string) => void; now: () => Date };
  readonly #sums = new Map<string, Map<Counter, number>>();
  #writtenAt: number;

  constructor(o: { environment: string; write?: (line: string) => void; now?: () => Date }) {
    // Not by console.log, before whose text Lambda writes a time and an id: then it is JSON no more.
    const { write = (line: string) => void process.stdout.write(`${line}\n`), now = () => new Date() } = o;
    this.#o = { environment: o.environment, write, now };
    this.#writtenAt = now().getTime();
  }

  add(task: string, counted: Counted): void {
    const sums = this.#sums.get(task) ?? new Map<Counter, number>();
    this.#sums.set(task, sums);
    for (const [name, value] of Object.entries(counted) as [Counter, number][])
      sums.set(name, (sums.get(name) ?? 0) + value);
    if (this.#o.now().getTime() - this.#writtenAt >= EVERY_MS) this.flush();
  }

  /** Writes what was counted so far. */
  flush(): void {
    const at = this.#o.now();
    this.#writtenAt = at.getTime();
    for (const [task, sums] of this.#sums) {
      const metrics = [...sums].map(([name, value]) => ({ name, unit: counters[name], value }));
      const dimensions = { Environment: this.#o.environment, Task: task };
      this.#o.write(metricLine({ dimensions, metrics }, at));
    }
    this.#sums.clear();
  }
}
