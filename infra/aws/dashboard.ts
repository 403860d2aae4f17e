import { Duration } from 'aws-cdk-lib';
import { Dashboard, GraphWidget, type IMetric, MathExpression, Metric } from 'aws-cdk-lib/aws-cloudwatch';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import { METRIC_NAMESPACE } from '../../shared/log/metrics.ts';
import type { Settings } from './settings.ts';

type Shown = { readonly settings: Settings; readonly functions: Readonly<Record<string, IFunction>> };

const period = Duration.minutes(1);
const WIDTH = 12;

/** One page for all tasks: tasks come and go, so that their lines are found by a search. */
export function addDashboard(scope: Construct, { settings, functions }: Shown): void {
  const { prefix } = settings;
  const perTask = (name: string, statistic: string): IMetric =>
    new MathExpression({
      expression: `SEARCH('{${METRIC_NAMESPACE},Environment,Task} MetricName="${name}" Environment="${prefix}"', '${statistic}', 60)`,
      usingMetrics: {},
      label: '',
      period,
    });
  const overall = (metricName: string): IMetric =>
    new Metric({
      namespace: METRIC_NAMESPACE,
      metricName,
      dimensionsMap: { Environment: prefix },
      statistic: 'Maximum',
      period,
    });
  const graph = (title: string, left: IMetric[]) => new GraphWidget({ title, left, width: WIDTH, period });
  const all = Object.values(functions);
  new Dashboard(scope, 'Dashboard', {
    dashboardName: prefix,
    widgets: [
      [
        graph('Latency in seconds, by task', [perTask('LatencySeconds', 'Maximum')]),
        graph(
          'Tasks by state',
          ['TasksRunning', 'TasksRetrying', 'TasksPaused', 'TasksInitializing', 'TasksFailed'].map(overall),
        ),
      ],
      [
        graph('Rows per second, by task', [perTask('RowsPerSecond', 'Average')]),
        graph('Bytes per second, by task', [perTask('BytesPerSecond', 'Average')]),
      ],
      [
        graph('WAL that slots retain in bytes, by task', [perTask('WalRetainedBytes', 'Maximum')]),
        graph('Conflicts met, by task', [perTask('ConflictsMet', 'Sum')]),
      ],
      [
        graph('Retries, by task', [perTask('Retries', 'Sum')]),
        graph('Messages that wait, by task', [perTask('MessagesWaiting', 'Maximum')]),
      ],
      [
        graph(
          'Errors of functions',
          all.map((fn) => fn.metricErrors({ period })),
        ),
        graph(
          'Duration of functions',
          all.map((fn) => fn.metricDuration({ period, statistic: 'p99' })),
        ),
      ],
    ],
  });
}
