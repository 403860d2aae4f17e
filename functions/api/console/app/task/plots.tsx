import type { JSX } from 'preact';
import type { TaskView } from '../../../../../shared/client/contract.ts';
import { decimal, duration } from '../../../../../shared/client/figures.ts';
import { samplesOf } from '../live.ts';
import { Plot } from '../parts/plot.tsx';

const most = (values: readonly (number | null)[]): number =>
  Math.max(0, ...values.map((value) => value ?? 0));

/** Latency since the console was opened, ten minutes at most. */
export function LatencyPlot({ task }: { task: TaskView }): JSX.Element | null {
  const samples = samplesOf(task);
  const values = samples.map(({ latencySeconds }) => latencySeconds);
  const now = values.at(-1);
  const known = now !== undefined && now !== null;
  return (
    <Plot
      title="Latency"
      summary={known ? `now ${duration(now)}, highest seen ${duration(most(values))}` : 'not known yet'}
      times={samples.map(({ at }) => at)}
      values={values}
      format={duration}
    />
  );
}

/** Rows applied per second since the console was opened, ten minutes at most. */
export function RowsPlot({ task }: { task: TaskView }): JSX.Element {
  const samples = samplesOf(task);
  const values = samples.map(({ rowsPerSecond }) => rowsPerSecond);
  return (
    <Plot
      title="Rows per second"
      summary={`now ${decimal(values.at(-1) ?? 0)}, highest seen ${decimal(most(values))}`}
      times={samples.map(({ at }) => at)}
      values={values}
      format={(value) => (value >= 1000 ? `${decimal(value / 1000)} k` : decimal(value))}
    />
  );
}
