import { CfnOutput, Duration, RemovalPolicy, SecretValue, Stack } from 'aws-cdk-lib';
import { AttributeType, Billing, TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { Rule, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction as LambdaTarget } from 'aws-cdk-lib/aws-events-targets';
import { type IRole, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { FunctionUrlAuthType } from 'aws-cdk-lib/aws-lambda';
import { SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources';
import { BlockPublicAccess, Bucket, BucketEncryption } from 'aws-cdk-lib/aws-s3';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { TTL_ATTRIBUTE } from '../../shared/aws/table.ts';
import { acknowledge } from './acknowledge.ts';
import { addAlarms } from './alarms.ts';
import { addDashboard } from './dashboard.ts';
import { type Added, addFunction, functionNameOf } from './function.ts';
import { givenNetwork } from './network.ts';
import { permissionsOn } from './permissions.ts';
import type { Settings } from './settings.ts';

/** The longest that one chunk of the full copy may take. */
const COPY_TIMEOUT_SECONDS = 900;
/** A chunk that failed this often fails again; its task is told by the copy itself long before. */
const COPY_RECEIVES = 20;
const PARTS_DAYS = 15;

export type ServerlessProps = { readonly settings: Settings; readonly dist: string };

/**
 * Everything but the capture: LocalStack's free edition takes this stack whole. A subclass, as the CDK wants stacks.
 */
export class ServerlessStack extends Stack {
  /** What the capture needs from here: its role, and its environment. */
  readonly captureRole: IRole;
  readonly environmentOfCapture: Readonly<Record<string, string>>;

  constructor(scope: Construct, id: string, { settings, dist }: ServerlessProps) {
    super(scope, id, {
      stackName: `${settings.prefix}-${id}`,
      description: 'pgtwin: functions, queues and table',
    });
    const { prefix } = settings;
    const removalPolicy = settings.removal === 'destroy' ? RemovalPolicy.DESTROY : RemovalPolicy.RETAIN;
    const network = givenNetwork(this, settings);

    const table = new TableV2(this, 'Table', {
      partitionKey: { name: 'pk', type: AttributeType.STRING },
      sortKey: { name: 'sk', type: AttributeType.STRING },
      billing: Billing.onDemand(),
      timeToLiveAttribute: TTL_ATTRIBUTE,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      removalPolicy,
    });
    const bucket = new Bucket(this, 'Parts', {
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      encryption: BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      // A day longer than a message that names a part can live.
      lifecycleRules: [
        { expiration: Duration.days(PARTS_DAYS), abortIncompleteMultipartUploadAfter: Duration.days(1) },
      ],
      removalPolicy,
    });
    acknowledge(
      bucket,
      'S1',
      'Only two roles reach it, with parts that live for minutes; access is in CloudTrail.',
    );

    const copyDeadLetters = new Queue(this, 'CopyDeadLetters', {
      queueName: `${prefix}-copy-dead`,
      retentionPeriod: Duration.days(14),
      enforceSSL: true,
    });
    const copyQueue = new Queue(this, 'CopyQueue', {
      queueName: `${prefix}-copy`,
      retentionPeriod: Duration.days(14),
      visibilityTimeout: Duration.seconds(COPY_TIMEOUT_SECONDS + 60),
      deadLetterQueue: { queue: copyDeadLetters, maxReceiveCount: COPY_RECEIVES },
      enforceSSL: true,
    });

    const environment = {
      PGTWIN_TABLE: table.tableName,
      PGTWIN_BUCKET: bucket.bucketName,
      PGTWIN_PREFIX: prefix,
      PGTWIN_COPY_QUEUE_URL: copyQueue.queueUrl,
      PGTWIN_SECRETS: 'secrets-manager',
      PGTWIN_LOG: settings.log,
    };
    const common = { settings, dist, network };
    const may = permissionsOn({ settings, table, bucket, copyQueue });

    const apply = addFunction(this, 'apply', {
      ...common,
      description: "Writes a task's changes to its destination",
      memoryMb: 1024,
      timeoutSeconds: settings.applyTimeoutSeconds,
      environment,
    });
    may.table(apply.role, 'write');
    may.readPasswords(apply.role);
    may.readParts(apply.role);
    may.consumeTaskQueues(apply.role);

    const copy = addFunction(this, 'copy', {
      ...common,
      description: 'Copies one chunk of a table',
      memoryMb: 1024,
      timeoutSeconds: COPY_TIMEOUT_SECONDS,
      environment,
    });
    may.table(copy.role, 'write');
    may.readPasswords(copy.role);
    may.sendWork(copy.role);
    copy.fn.addEventSource(
      new SqsEventSource(copyQueue, {
        batchSize: 1,
        maxConcurrency: settings.copyConcurrency,
        reportBatchItemFailures: true,
      }),
    );

    const tokens = this.#addTokens(prefix);
    const api = addFunction(this, 'api', {
      ...common,
      description: 'The API and the console',
      memoryMb: 1024,
      timeoutSeconds: 60,
      environment: {
        ...environment,
        PGTWIN_API_TOKENS_SECRET: tokens.secretArn,
        ...(settings.apiPrincipals ? { PGTWIN_API_PRINCIPALS: settings.apiPrincipals } : {}),
      },
    });
    may.table(api.role, 'remove');
    may.readPasswords(api.role);
    may.managePasswords(api.role);
    may.measureTaskQueues(api.role);
    tokens.grantRead(api.role);
    // Without principals the API answers only to its bearer tokens, which work from any client; with them, to requests
    // that are signed by one of them (and may invoke the function's URL) only.
    const authType = settings.apiPrincipals ? FunctionUrlAuthType.AWS_IAM : FunctionUrlAuthType.NONE;
    const url = api.fn.addFunctionUrl({ authType });

    const monitor = addFunction(this, 'monitor', {
      ...common,
      description: 'Ends hopeless retries, writes metrics, sends alerts, compares the databases',
      memoryMb: 512,
      // Work that was begun ends in good time before; the next minute's round goes on with it.
      timeoutSeconds: 120,
      environment: {
        ...environment,
        ...(settings.alarmTopicArn ? { PGTWIN_ALERT_TOPIC: settings.alarmTopicArn } : {}),
      },
    });
    may.table(monitor.role, 'remove');
    may.measureTaskQueues(monitor.role);
    // Webhooks are signed with secrets that tasks name.
    may.readPasswords(monitor.role);
    may.publish(monitor.role);
    new Rule(this, 'MonitorSchedule', {
      description: 'Runs the monitor of pgtwin',
      schedule: Schedule.rate(Duration.minutes(1)),
      targets: [new LambdaTarget(monitor.fn, { retryAttempts: 0 })],
    });

    // Here, beside what it permits; the container that has it is in the other stack.
    const captureRole = new Role(this, 'CaptureRole', {
      assumedBy: new ServicePrincipal('ecs-tasks.amazonaws.com'),
      description: 'What the capture of pgtwin may do',
    });
    may.table(captureRole, 'remove');
    may.readPasswords(captureRole);
    may.manageParts(captureRole);
    may.manageTaskQueues(captureRole);
    may.sendWork(captureRole);
    may.manageMappings(captureRole, functionNameOf(settings, 'apply'));
    this.captureRole = captureRole;
    this.environmentOfCapture = {
      ...environment,
      PGTWIN_APPLY_FUNCTION: apply.fn.functionName,
      PGTWIN_POOL: settings.capturePool,
    };

    const functions = { apply: apply.fn, copy: copy.fn, api: api.fn, monitor: monitor.fn };
    addAlarms(this, { settings, functions, copyDeadLetters });
    addDashboard(this, { settings, functions });
    const outputs = {
      Prefix: prefix,
      ApiUrl: url.url,
      TokensSecretArn: tokens.secretArn,
      TableName: table.tableName,
      BucketName: bucket.bucketName,
      CopyQueueUrl: copyQueue.queueUrl,
      CaptureRoleArn: captureRole.roleArn,
      ...namesOf({ Apply: apply, Copy: copy, Api: api, Monitor: monitor }),
    };
    for (const [name, value] of Object.entries(outputs)) new CfnOutput(this, name, { value });
  }

  /** A first token of the role admin, made at the deployment and seen by nobody. More are added in the secret. */
  #addTokens(prefix: string): Secret {
    const reason =
      'A token is in the hands of clients: it is replaced by adding another one, not by a schedule.';
    const token = new Secret(this, 'FirstToken', {
      secretName: `${prefix}-first-token`,
      description: 'The first API token of pgtwin, of which the list of tokens is made',
      generateSecretString: { passwordLength: 40, excludePunctuation: true },
    });
    acknowledge(token, 'SMG4', reason);
    const tokens = new Secret(this, 'Tokens', {
      secretName: `${prefix}-tokens`,
      description: 'API tokens of pgtwin: name:role:token, separated by commas',
      secretStringValue: SecretValue.unsafePlainText(
        `admin:admin:${SecretValue.secretsManager(token.secretArn).unsafeUnwrap()}`,
      ),
    });
    acknowledge(tokens, 'SMG4', reason);
    return tokens;
  }
}

const namesOf = (functions: Record<string, Added>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(functions).map(([name, { fn }]) => [`${name}FunctionName`, fn.functionName]),
  );
