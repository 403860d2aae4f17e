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
