import { Duration, IgnoreMode, Stack } from 'aws-cdk-lib';
import { FlowLogDestination, FlowLogTrafficType, type IVpc, SubnetType, Vpc } from 'aws-cdk-lib/aws-ec2';
import {
  Cluster,
  ContainerImage,
  ContainerInsights,
  FargateService,
  FargateTaskDefinition,
  type ICluster,
  LogDrivers,
} from 'aws-cdk-lib/aws-ecs';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import { addLogGroup } from './function.ts';
import { givenNetwork, type Network, outgoingOnly } from './network.ts';
import type { ServerlessStack } from './serverless-stack.ts';
import type { Settings } from './settings.ts';

/** Longest graceful stop: what is open is sent, checkpoints are saved, leases are given back. Fargate's limit is 120. */
const STOP_SECONDS = 120;

export type CaptureProps = {
  readonly settings: Settings;
  readonly serverless: ServerlessStack;
  /** The folder that holds `infra/Dockerfile` and `dist/capture`. */
  readonly project: string;
};

/** The long-lived part, on Fargate: reads the slots. Several containers share the tasks by leases. */
export class CaptureStack extends Stack {
  constructor(scope: Construct, id: string, { settings, serverless, project }: CaptureProps) {
    super(scope, id, {
      stackName: `${settings.prefix}-${id}`,
      description: 'pgtwin: the capture on Fargate',
    });
    const { vpc, securityGroups } = givenNetwork(this, settings) ?? this.#newNetwork(settings);
    const name = `${settings.prefix}-capture`;

    const cluster = new Cluster(this, 'Cluster', {
      clusterName: name,
      vpc,
      containerInsightsV2: ContainerInsights.ENABLED,
    });
    const definition = new FargateTaskDefinition(this, 'Task', {
      family: name,
      cpu: 1024,
      memoryLimitMiB: 2048,
      taskRole: serverless.captureRole,
    });
    acknowledge(definition, 'ECS2', 'The variables are names of resources; passwords are read from secrets.');
    definition.addContainer('capture', {
      image: ContainerImage.fromAsset(project, { file: 'infra/Dockerfile', ignoreMode: IgnoreMode.DOCKER }),
      environment: { ...serverless.environmentOfCapture },
      logging: LogDrivers.awsLogs({
        logGroup: addLogGroup(this, 'Logs', `/pgtwin/${name}`, settings),
        streamPrefix: 'capture',
      }),
      stopTimeout: Duration.seconds(STOP_SECONDS),
      readonlyRootFilesystem: true,
    });
    if (definition.executionRole)
      acknowledge(
        definition.executionRole,
        'IAM5[Resource::*]',
        'ECR gives its login token without a resource.',
      );

    new FargateService(this, 'Service', {
      serviceName: name,
      // CDK's own classes miss its interfaces where optional properties are taken exactly.
      cluster: cluster as ICluster,
      taskDefinition: definition,
      desiredCount: settings.captureCount,
      assignPublicIp: false,
      securityGroups,
      vpcSubnets: { subnetType: SubnetType.PRIVATE_WITH_EGRESS },
      // The new one is up before the old one stops: it takes the tasks over as leases are given back.
      minHealthyPercent: 100,
      maxHealthyPercent: 200,
      circuitBreaker: { rollback: true },
    });
  }

  /** For databases that are reached over the internet: two private subnets behind one NAT gateway. */
  #newNetwork(settings: Settings): Network {
    const vpc = new Vpc(this, 'Network', { maxAzs: 2, natGateways: 1, restrictDefaultSecurityGroup: false });
    vpc.addFlowLog('Flow', {
      destination: FlowLogDestination.toCloudWatchLogs(
        addLogGroup(this, 'FlowLogs', `/pgtwin/${settings.prefix}-network`, settings),
      ),
      trafficType: FlowLogTrafficType.REJECT,
    });
    return { vpc: vpc as IVpc, securityGroups: [outgoingOnly(this, vpc as IVpc)] };
  }
}
