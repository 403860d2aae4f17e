import { Aws, type CfnElement, Stack } from 'aws-cdk-lib';
import type { TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { type IRole, PolicyStatement, type PolicyStatementProps } from 'aws-cdk-lib/aws-iam';
import type { Bucket } from 'aws-cdk-lib/aws-s3';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { acknowledge } from './acknowledge.ts';
import type { Settings } from './settings.ts';

type Subjects = {
  readonly settings: Settings;
  readonly table: TableV2;
  readonly bucket: Bucket;
  readonly copyQueue: IQueue;
};
const tableActions = {
  read: ['GetItem', 'Query'],
  write: ['GetItem', 'Query', 'PutItem'],
  remove: ['GetItem', 'Query', 'PutItem', 'DeleteItem'],
};
const local = (service: string, rest: string) =>
  `arn:${Aws.PARTITION}:${service}:${Aws.REGION}:${Aws.ACCOUNT_ID}:${rest}`;

/** What roles may do, by names that say why. Patterns stand only where a name is not known before there is a task. */
export function permissionsOn({ settings, table, bucket, copyQueue }: Subjects) {
  const taskQueues = `${settings.prefix}-*.fifo`;

  const allow = (role: IRole, service: string, actions: string[], resource: string, more = {}): void => {
    const statement: PolicyStatementProps = {
      actions: actions.map((action) => `${service}:${action}`),
      resources: [resource],
      ...more,
    };
    role.addToPrincipalPolicy(new PolicyStatement(statement));
  };
  /** On all names that match: said with a reason, as the rules ask for. */
  const allowPattern = (role: IRole, service: string, actions: string[], pattern: string, reason: string) => {
    allow(role, service, actions, local(service, pattern));
    const finding = `arn:<AWS::Partition>:${service}:<AWS::Region>:<AWS::AccountId>:${pattern}`;
    acknowledge(role, `IAM5[Resource::${finding}]`, reason);
  };
  const onTaskQueues = (role: IRole, actions: string[]) =>
    allowPattern(role, 'sqs', actions, taskQueues, 'Each task has a queue of its own, made when it starts.');
  const onParts = (role: IRole, actions: string[]) => {
    allow(role, 's3', actions, bucket.arnForObjects('*'));
    const id = Stack.of(bucket).getLogicalId(bucket.node.defaultChild as CfnElement);
    acknowledge(role, `IAM5[Resource::<${id}.Arn>/*]`, 'All objects of this bucket are parts.');
    // Without it, a part that is gone is reported as forbidden.
    allow(role, 's3', ['ListBucket'], bucket.bucketArn);
  };

  return {
    table: (role: IRole, may: keyof typeof tableActions) =>
      allow(role, 'dynamodb', tableActions[may], table.tableArn),
    readPasswords(role: IRole) {
      const reason = 'Each database has a secret of its own, made with its pair.';
      allowPattern(role, 'secretsmanager', ['GetSecretValue'], 'secret:pgtwin/*', reason);
      for (const arn of settings.secretArns ?? []) {
        allow(role, 'secretsmanager', ['GetSecretValue'], arn);
        acknowledge(role, `IAM5[Resource::${arn}]`, 'Chosen by the operator in the settings.');
      }
    },
    managePasswords(role: IRole) {
      const actions = ['CreateSecret', 'PutSecretValue', 'RestoreSecret', 'DeleteSecret'];
      const reason = 'Each database has a secret of its own, made with its pair.';
      allowPattern(role, 'secretsmanager', actions, 'secret:pgtwin/*', reason);
    },
    /** To the topics that the operator named, and no other. */
    publish(role: IRole) {
      const topics = new Set([settings.alarmTopicArn, ...(settings.alertTopicArns ?? [])]);
      for (const arn of topics) if (arn) allow(role, 'sns', ['Publish'], arn);
    },
    readParts: (role: IRole) => onParts(role, ['GetObject']),
    manageParts: (role: IRole) => onParts(role, ['PutObject', 'GetObject', 'DeleteObject']),
    /** What Lambda's poller does in the name of the function, and a handler that hands a message back early. */
    consumeTaskQueues: (role: IRole) =>
      onTaskQueues(role, [
        'ReceiveMessage',
        'DeleteMessage',
        'ChangeMessageVisibility',
        'GetQueueAttributes',
      ]),
    measureTaskQueues: (role: IRole) => onTaskQueues(role, ['GetQueueUrl', 'GetQueueAttributes']),
    manageTaskQueues: (role: IRole) =>
      onTaskQueues(role, [
        'CreateQueue',
        'DeleteQueue',
        'GetQueueUrl',
        'GetQueueAttributes',
        'SetQueueAttributes',
        'SendMessage',
      ]),
    sendWork: (role: IRole) => allow(role, 'sqs', ['SendMessage'], copyQueue.queueArn),
    manageMappings(role: IRole, functionName: string) {
      const ours = local('lambda', `function:${functionName}`);
      const conditions = { ArnLike: { 'lambda:FunctionArn': ours } };
      // Lambda knows mappings by random ids, and lists them without any resource.
      const any = { conditions };
      const actions = ['Create', 'Get', 'Delete'].map((verb) => `${verb}EventSourceMapping`);
      allow(role, 'lambda', actions, '*', any);
      allow(role, 'lambda', ['ListEventSourceMappings'], '*');
      allow(role, 'lambda', ['GetFunctionConfiguration'], ours);
      acknowledge(role, 'IAM5[Resource::*]', 'Mappings have random ids; the condition names the function.');
    },
  };
}
export type Permissions = ReturnType<typeof permissionsOn>;
