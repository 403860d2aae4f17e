import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { AwsSolutionsChecks } from 'cdk-nag';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addStacks, type Stacks } from './app.ts';

let folder = '';
let dist = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pgtwin-cdk-'));
  dist = join(folder, 'dist');
  for (const name of ['apply', 'copy', 'api', 'monitor']) {
    mkdirSync(join(dist, name), { recursive: true });
    writeFileSync(join(dist, name, 'index.mjs'), 'export const handler = async () => {};\n');
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

function synthesize(context: Record<string, string> = {}) {
  const app = new App({ context, outdir: mkdtempSync(join(folder, 'out-')) });
  const stacks = addStacks(app, { dist });
  return { app, stacks, ...templatesOf(stacks) };
}
const templatesOf = ({ serverless, capture }: Stacks) => ({
  serverless: Template.fromStack(serverless),
  capture: Template.fromStack(capture),
});
const findingsOf = (app: App): string[] =>
  new AwsSolutionsChecks(app)
    .validateScope(app)
    .violations.flatMap((v) =>
      v.violatingResources.map((r) => `${v.ruleName} at ${r.constructPath}: ${v.description}`),
    );

/** Every statement of every policy, with the role's logical id. */
function statementsOf(template: Template) {
  type Statement = { Action: string | string[]; Resource: unknown; Condition?: unknown };
  type Policy = { Properties: { Roles: { Ref: string }[]; PolicyDocument: { Statement: Statement[] } } };
  return Object.values(template.findResources('AWS::IAM::Policy') as Record<string, Policy>).flatMap(
    ({ Properties: { Roles, PolicyDocument } }) =>
      PolicyDocument.Statement.map((s) => ({
        role: Roles.map((r) => r.Ref).join(),
        actions: [s.Action].flat(),
        resource: JSON.stringify(s.Resource),
        condition: s.Condition,
      })),
  );
}

describe('as deployed by default', () => {
  const made = () => {
    cached ??= synthesize();
    return cached;
  };
  let cached: ReturnType<typeof synthesize> | undefined;

  test('no finding of the AWS Solutions rules stands without a reason', () => {
    expect(findingsOf(made().app)).toEqual([]);
  });

  test('the table keeps itself and can be set back in time', () => {
    made().serverless.hasResource('AWS::DynamoDB::GlobalTable', {
      DeletionPolicy: 'Retain',
      Properties: {
        BillingMode: 'PAY_PER_REQUEST',
        KeySchema: [
          { AttributeName: 'pk', KeyType: 'HASH' },
          { AttributeName: 'sk', KeyType: 'RANGE' },
        ],
        Replicas: [
          Match.objectLike({ PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true } }),
        ],
      },
    });
  });

  test('parts are private, encrypted and gone after the last message that could name them', () => {
    made().serverless.hasResourceProperties('AWS::S3::Bucket', {
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
      BucketEncryption: Match.anyValue(),
      LifecycleConfiguration: { Rules: [Match.objectLike({ ExpirationInDays: 15, Status: 'Enabled' })] },
    });
  });

  test('every function runs on Node 22, logs to a group with an end, and finds the table', () => {
    const { serverless } = made();
    const functions = serverless.findResources('AWS::Lambda::Function');
    expect(Object.values(functions).map((f) => f['Properties']['FunctionName'])).toEqual([
      'pgtwin-apply',
      'pgtwin-copy',
      'pgtwin-api',
      'pgtwin-monitor',
    ]);
    serverless.allResourcesProperties('AWS::Lambda::Function', {
      Runtime: 'nodejs22.x',
      Handler: 'index.handler',
      Environment: {
        Variables: Match.objectLike({ PGTWIN_TABLE: Match.anyValue(), PGTWIN_PREFIX: 'pgtwin' }),
      },
    });
    serverless.allResourcesProperties('AWS::Logs::LogGroup', { RetentionInDays: 30 });
  });

  test('the chunks of the copy: one at a time, visible again only after the function has ended', () => {
    const { serverless } = made();
    serverless.hasResourceProperties('AWS::Lambda::EventSourceMapping', {
      BatchSize: 1,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      ScalingConfig: { MaximumConcurrency: 16 },
    });
    serverless.hasResourceProperties('AWS::SQS::Queue', {
      QueueName: 'pgtwin-copy',
      VisibilityTimeout: 960,
      RedrivePolicy: Match.objectLike({ maxReceiveCount: 20 }),
    });
    serverless.hasResourceProperties('AWS::Lambda::Function', { FunctionName: 'pgtwin-copy', Timeout: 900 });
  });

  test('the monitor runs every minute, the API has an address, failures have alarms', () => {
    const { serverless } = made();
    serverless.hasResourceProperties('AWS::Events::Rule', { ScheduleExpression: 'rate(1 minute)' });
    serverless.hasResourceProperties('AWS::Lambda::Url', { AuthType: 'NONE' });
    const alarms = Object.values(serverless.findResources('AWS::CloudWatch::Alarm'));
    expect(alarms.map((a) => a['Properties']['AlarmName']).sort()).toEqual(
      [
        'api-errors',
        'apply-errors',
        'copy-dead-letters',
        'copy-errors',
        'latency',
        'monitor-errors',
        'task-dead-letters',
        'tasks-failed',
        'wal-retained',
      ].map((name) => `pgtwin-${name}`),
    );
  });

  test('one dashboard shows what the parts measure', () => {
    const [board] = Object.values(made().serverless.findResources('AWS::CloudWatch::Dashboard'));
    const body = JSON.stringify(board?.['Properties']);
    const names = ['LatencySeconds', 'WalRetainedBytes', 'ConflictsMet', 'Retries', 'TasksFailed'];
    for (const name of names) expect(body).toContain(name);
  });

  test('no role may do everything of a service, and apply may neither remove items nor touch secrets', () => {
    const statements = statementsOf(made().serverless);
    expect(statements.flatMap((s) => s.actions).filter((a) => a.includes('*'))).toEqual([]);
    const ofApply = statements.filter((s) => s.role.startsWith('ApplyRole')).flatMap((s) => s.actions);
    expect(ofApply).toContain('secretsmanager:GetSecretValue');
    for (const action of [
      'dynamodb:DeleteItem',
      'secretsmanager:PutSecretValue',
      's3:PutObject',
      'sqs:SendMessage',
    ])
      expect(ofApply).not.toContain(action);
    const ofMonitor = statements.filter((s) => s.role.startsWith('MonitorRole')).flatMap((s) => s.actions);
    expect(ofMonitor.filter((a) => /^(s3|lambda|sns):/.test(a))).toEqual([]);
    expect(ofMonitor.filter((a) => /^secretsmanager:/.test(a))).toEqual(['secretsmanager:GetSecretValue']);
  });

  test('the capture may map queues to the apply function only', () => {
    const mapping = statementsOf(made().serverless).filter((s) =>
      s.actions.includes('lambda:CreateEventSourceMapping'),
    );
    expect(mapping).toHaveLength(1);
    expect(mapping[0]?.role).toMatch(/^CaptureRole/);
    expect(JSON.stringify(mapping[0]?.condition)).toContain(':function:pgtwin-apply');
  });

  test('everything that works by task is told where to look', () => {
    const outputs = Object.keys(made().serverless.toJSON()['Outputs']);
    for (const name of [
      'ApiUrl',
      'TokensSecretArn',
      'TableName',
      'BucketName',
      'CopyQueueUrl',
      'ApplyFunctionName',
    ])
      expect(outputs).toContain(name);
  });

  test('the capture runs on Fargate without a public address, with time to stop', () => {
    const { capture } = made();
    capture.hasResourceProperties('AWS::ECS::Service', {
      LaunchType: 'FARGATE',
      DesiredCount: 1,
      NetworkConfiguration: { AwsvpcConfiguration: Match.objectLike({ AssignPublicIp: 'DISABLED' }) },
    });
    capture.hasResourceProperties('AWS::ECS::TaskDefinition', {
      ContainerDefinitions: [
        Match.objectLike({
          StopTimeout: 120,
          ReadonlyRootFilesystem: true,
          Environment: Match.arrayWith([
            { Name: 'PGTWIN_APPLY_FUNCTION', Value: Match.anyValue() },
            { Name: 'PGTWIN_POOL', Value: 'default' },
          ]),
        }),
      ],
    });
    capture.resourceCountIs('AWS::EC2::VPC', 1);
    for (const group of Object.values(capture.findResources('AWS::EC2::SecurityGroup')))
      expect(group['Properties']['SecurityGroupIngress']).toBeUndefined();
  });
});

test('the image is built of the bundle and nothing else', () => {
  const project = join(folder, 'project');
  for (const file of [
    'infra/Dockerfile',
    '.dockerignore',
    'dist/capture/main.mjs',
    'package.json',
    'dist/api/x.mjs',
  ])
    copyOrWrite(join(project, file), file);
  const app = new App({ outdir: join(folder, 'image') });
  addStacks(app, { dist, project });
  app.synth();
  const contexts = readdirSync(join(folder, 'image'))
    .map((name) => join(folder, 'image', name))
    .filter((path) => existsSync(join(path, '.dockerignore')));
  expect(contexts.map((path) => readdirSync(path, { recursive: true }).sort())).toEqual([
    ['.dockerignore', 'dist', 'dist/capture', 'dist/capture/main.mjs', 'infra', 'infra/Dockerfile'],
  ]);
});

/** The project's own file where there is one. */
function copyOrWrite(target: string, file: string): void {
  mkdirSync(dirname(target), { recursive: true });
  const source = join(import.meta.dirname, '../..', file);
  if (/^(infra|[.])/.test(file)) copyFileSync(source, target);
  else writeFileSync(target, file);
}

describe('with settings', () => {
  const context = {
    prefix: 'acme',
    vpcId: 'vpc-0123456789abcdef0',
    subnetIds: 'subnet-0123456789abcdef0, subnet-0123456789abcdef1',
    secretArns: 'arn:aws:secretsmanager:eu-central-1:111111111111:secret:orders-*',
    alarmTopicArn: 'arn:aws:sns:eu-central-1:111111111111:alarms',
    alertTopicArns: 'arn:aws:sns:eu-central-1:111111111111:team-a',
    removal: 'destroy',
    captureCount: '2',
  };

  test('functions and capture join the given network, and no new one is made', () => {
    const { app, serverless, capture } = synthesize(context);
    expect(findingsOf(app)).toEqual([]);
    serverless.allResourcesProperties('AWS::Lambda::Function', {
      VpcConfig: { SubnetIds: context.subnetIds.split(', '), SecurityGroupIds: Match.anyValue() },
    });
    capture.resourceCountIs('AWS::EC2::VPC', 0);
    capture.hasResourceProperties('AWS::ECS::Service', { DesiredCount: 2 });
    serverless.hasResourceProperties('AWS::Lambda::Function', { FunctionName: 'acme-apply' });
    serverless.hasResource('AWS::DynamoDB::GlobalTable', { DeletionPolicy: 'Delete' });
    serverless.allResourcesProperties('AWS::CloudWatch::Alarm', { AlarmActions: [context.alarmTopicArn] });
    const readers = statementsOf(serverless).filter((s) => s.resource.includes('orders-*'));
    expect(readers.map((s) => s.role.replace(/Role.*/, '')).sort()).toEqual([
      'Api',
      'Apply',
      'Capture',
      'Copy',
      'Monitor',
    ]);
    const publishing = statementsOf(serverless).filter((s) => s.actions.includes('sns:Publish'));
    expect(
      publishing.map(({ role, resource }) => [role.replace(/Role.*/, ''), JSON.parse(resource)]),
    ).toEqual([context.alarmTopicArn, context.alertTopicArns].map((arn) => ['Monitor', arn]));
  });

  test('with principals the API asks for IAM, and the table forgets what is over', () => {
    const apiPrincipals = 'admin=arn:aws:iam::111111111111:role/dba,viewer=arn:aws:sts::1:assumed-role/*';
    const { app, serverless } = synthesize({ apiPrincipals });
    expect(findingsOf(app)).toEqual([]);
    serverless.hasResourceProperties('AWS::Lambda::Url', { AuthType: 'AWS_IAM' });
    serverless.hasResourceProperties('AWS::Lambda::Function', {
      FunctionName: 'pgtwin-api',
      Environment: { Variables: Match.objectLike({ PGTWIN_API_PRINCIPALS: apiPrincipals }) },
    });
    serverless.hasResourceProperties('AWS::DynamoDB::GlobalTable', {
      TimeToLiveSpecification: { AttributeName: 'expires', Enabled: true },
    });
    expect(() => synthesize({ apiPrincipals: 'root=arn:aws:iam::1:root' })).toThrow(/apiPrincipals/);
  });

  test('a wrong setting is named, and a missing bundle says what to do', () => {
    expect(() => synthesize({ prefix: 'Nope!' })).toThrow(/prefix/);
    expect(() => synthesize({ vpcId: 'vpc-1' })).toThrow(/vpcId and subnetIds go together/);
    expect(() =>
      addStacks(new App({ outdir: join(folder, 'none') }), { dist: join(folder, 'nothing') }),
    ).toThrow(/npm run build/);
  });
});
