import { CreateTopicCommand, DeleteTopicCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import {
  CreateQueueCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { expect, inject, test } from 'vitest';
import { alerts } from '../../functions/monitor/duties/alerts.ts';
import { runRound } from '../../functions/monitor/round.ts';
import { openTopics } from '../../shared/aws/topic.ts';
import { openLog } from '../../shared/log/log.ts';
import { taskConfig } from '../../shared/task/schema.ts';
import { openTestApi, storePair } from '../support/api.ts';
import { until } from '../support/wait.ts';

test('an alert goes through SNS to who has subscribed', async () => {
  const { endpoint } = inject('localstack');
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const aws = { endpoint, region: 'us-east-1', credentials };
  const [sns, sqs] = [new SNSClient(aws), new SQSClient(aws)];
  const name = `alerts-${Date.now()}`;
  const { TopicArn = '' } = await sns.send(new CreateTopicCommand({ Name: name }));
  const { QueueUrl = '' } = await sqs.send(new CreateQueueCommand({ QueueName: name }));
  try {
    const asked = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] });
    const { Attributes = {} } = await sqs.send(asked);
    const Endpoint = Attributes['QueueArn'] ?? '';
    await sns.send(new SubscribeCommand({ TopicArn, Protocol: 'sqs', Endpoint }));

    const api = openTestApi();
    const id = await storePair(api);
    const task = `${id}_f`;
    const why = { cause: 'test', actor: 'test' };
    const config = { objects: { include: [{ schema: 'public' }] }, alerts: { topicArn: TopicArn } };
    await api.repository.configure(task, taskConfig.parse(config), false, why);
    for (const input of ['precheck', 'precheck-passed', 'start', 'give-up'] as const)
      await api.repository.move(task, input, why);
    const round = {
      ...{ now: new Date(), prefix: 'twin', repository: api.repository, emit: () => {} },
      delivery: { depth: async () => ({ waiting: 0, dead: 0 }) },
      log: openLog({ write: () => {} }),
      senders: { topics: openTopics(aws), secrets: api.secrets, defaultTopic: undefined },
    };
    expect(await runRound(round, [alerts])).toEqual([]);
    const message = await until('the alert', async () => {
      const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 1 }));
      return Messages[0]?.Body;
    });
    const envelope = JSON.parse(message) as { Subject: string; Message: string };
    expect(envelope.Subject).toBe('pgtwin: shop (pair0001), forward: is Failed');
    expect(JSON.parse(envelope.Message)).toMatchObject({
      event: 'raised',
      kind: 'failure',
      task: { id: task },
    });
  } finally {
    await sns.send(new DeleteTopicCommand({ TopicArn }));
    await sqs.send(new DeleteQueueCommand({ QueueUrl }));
    sns.destroy();
    sqs.destroy();
  }
});
