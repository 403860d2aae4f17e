import { Duration } from 'aws-cdk-lib';
import {
  Alarm,
  ComparisonOperator,
  type IMetric,
  Metric,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { Topic } from 'aws-cdk-lib/aws-sns';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { METRIC_NAMESPACE } from '../../shared/log/metrics.ts';
import type { Settings } from './settings.ts';

type Watched = {
  readonly settings: Settings;
  readonly functions: Readonly<Record<string, IFunction>>;
  readonly copyDeadLetters: IQueue;
};

/** What somebody must look at. With `alarmTopicArn`, the topic is told when it begins and when it is over. */
export function addAlarms(scope: Construct, { settings, functions, copyDeadLetters }: Watched): void {
  const topic = settings.alarmTopicArn
    ? Topic.fromTopicArn(scope, 'AlarmTopic', settings.alarmTopicArn)
    : undefined;
  const alarm = (id: string, what: string, metric: IMetric, least: number, minutes = 1): void => {
    const made = new Alarm(scope, id, {
      alarmName: `${settings.prefix}-${id}`,
      alarmDescription: what,
      metric,
      threshold: least,
      evaluationPeriods: minutes,
      comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: TreatMissingData.NOT_BREACHING,
    });
    if (!topic) return;
    made.addAlarmAction(new SnsAction(topic));
    made.addOkAction(new SnsAction(topic));
  };
  const period = Duration.minutes(1);
  const monitored = (metricName: string) =>
    new Metric({
      namespace: METRIC_NAMESPACE,
      metricName,
      dimensionsMap: { Environment: settings.prefix },
      statistic: 'Maximum',
      period,
    });

  for (const [name, fn] of Object.entries(functions))
    alarm(`${name}-errors`, `The function ${name} fails.`, fn.metricErrors({ period }), 1, 3);
  const dead = copyDeadLetters.metricApproximateNumberOfMessagesVisible({ period, statistic: 'Maximum' });
  alarm('copy-dead-letters', 'Chunks of a full copy were given up.', dead, 1);
  alarm('task-dead-letters', 'Messages of a task were given up.', monitored('MessagesDead'), 1);
  alarm('tasks-failed', 'A task is in state Failed.', monitored('TasksFailed'), 1);
  const wal = settings.walAlarmGigabytes * 2 ** 30;
  alarm(
    'wal-retained',
    'A slot keeps much WAL: the disk of its source may fill up.',
    monitored('WalRetainedBytes'),
    wal,
    3,
  );
  alarm('latency', 'A task is late.', monitored('LatencySeconds'), settings.latencyAlarmSeconds, 3);
}
