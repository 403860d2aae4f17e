import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { type IRole, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { acknowledge } from './acknowledge.ts';
import type { Network } from './network.ts';
import type { Settings } from './settings.ts';

export type FunctionOptions = {
  readonly settings: Settings;
  /** Where the bundles are: `<dist>/<name>/index.mjs`. */
  readonly dist: string;
  readonly network: Network | undefined;
  readonly description: string;
  readonly memoryMb: number;
  readonly timeoutSeconds: number;
  readonly environment: Record<string, string>;
};
export type Added = { readonly fn: LambdaFunction; readonly role: IRole };

export const functionNameOf = (settings: Settings, name: string): string => `${settings.prefix}-${name}`;

/** A function from its bundle, with a log group and a role of its own that may do nothing but log. */
export function addFunction(scope: Construct, name: string, options: FunctionOptions): Added {
  const { settings, dist, network, description, memoryMb, timeoutSeconds, environment } = options;
  const folder = join(dist, name);
  if (!existsSync(join(folder, 'index.mjs')))
    throw new PgtwinError('prerequisite-missing', {
      detail: `There is no bundle of the function ${name} in ${folder}: run "npm run build" first.`,
    });

  const functionName = functionNameOf(settings, name);
  const id = name[0]?.toUpperCase() + name.slice(1);
  const logGroup = addLogGroup(scope, `${id}Logs`, `/aws/lambda/${functionName}`, settings);
  const role = new Role(scope, `${id}Role`, {
    assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
    description: `What the function ${functionName} may do`,
  });
  logGroup.grantWrite(role);
  if (network) allowNetworkInterfaces(role);

  const fn = new LambdaFunction(scope, `${id}Function`, {
    functionName,
    description,
    role,
    logGroup,
    code: Code.fromAsset(folder),
    handler: 'index.handler',
    runtime: Runtime.NODEJS_22_X,
    memorySize: memoryMb,
    timeout: Duration.seconds(timeoutSeconds),
    environment: { ...environment, NODE_OPTIONS: '--enable-source-maps' },
    ...(network ? { vpc: network.vpc, securityGroups: network.securityGroups } : {}),
  });
  acknowledge(fn, 'L1', 'Node 22 is what the whole product is built for and tested on, LocalStack included.');
  return { fn, role };
}

export function addLogGroup(
  scope: Construct,
  id: string,
  logGroupName: string,
  settings: Settings,
): LogGroup {
  const removalPolicy = settings.removal === 'destroy' ? RemovalPolicy.DESTROY : RemovalPolicy.RETAIN;
  return new LogGroup(scope, id, { logGroupName, retention: RetentionDays.ONE_MONTH, removalPolicy });
}

/** Lambda makes network interfaces in the name of the function. */
function allowNetworkInterfaces(role: Role): void {
  const actions = [
    'CreateNetworkInterface',
    'DescribeNetworkInterfaces',
    'DescribeSubnets',
    'DeleteNetworkInterface',
    'AssignPrivateIpAddresses',
    'UnassignPrivateIpAddresses',
  ].map((action) => `ec2:${action}`);
  role.addToPolicy(new PolicyStatement({ actions, resources: ['*'] }));
  acknowledge(role, 'IAM5[Resource::*]', 'Lambda itself needs these on any resource to join a VPC.');
}
