import type { JSX } from 'preact';
import type { HistoryView, TaskView } from '../../../../../shared/client/contract.ts';
import { decimal, duration } from '../../../../../shared/client/figures.ts';
import { samplesOf } from '../live.ts';
import { Plot } from '../parts/plot.tsx';

const most = (values: readonly (number | null)[]): number =>
  Math.max(0, ...values.map((value) => value ?? 0));

type Props = { readonly task: TaskView; readonly history: HistoryView | undefined };

/** Latency of the last day. */
export function LatencyPlot({ task, history }: Props): JSX.Element {
  const samples = samplesOf(task, history);
  const values = samples.map(({ latencySeconds }) => latencySeconds);
  const now = values.at(-1);
  const known = now !== undefined && now !== null;
  return (
    <Plot
      title="Latency"
      summary={
        known ? `now ${duration(now)}, highest in 24 hours ${duration(most(values))}` : 'not known yet'
      }
      times={samples.map(({ at }) => at)}
      values={values}
      format={duration}
    />
  );
}

/** Rows applied per second in the last day. */
export function RowsPlot({ task, history }: Props): JSX.Element {
  const samples = samplesOf(task, history);
  const values = samples.map(({ rowsPerSecond }) => rowsPerSecond);
  return (
    <Plot
      title="Rows per second"
      summary={`now ${decimal(values.at(-1) ?? 0)}, highest in 24 hours ${decimal(most(values))}`}
      times={samples.map(({ at }) => at)}
      values={values}
      format={(value) => (value >= 1000 ? `${decimal(value / 1000)} k` : decimal(value))}
    />
  );
}
