import { Fn } from 'aws-cdk-lib';
import { type ISecurityGroup, type IVpc, SecurityGroup, Vpc } from 'aws-cdk-lib/aws-ec2';
import type { Construct } from 'constructs';
import type { Settings } from './settings.ts';

export type Network = { readonly vpc: IVpc; readonly securityGroups: ISecurityGroup[] };

/** The network that the settings name: nothing is looked up, so that the app synthesizes without credentials. */
export function givenNetwork(scope: Construct, settings: Settings): Network | undefined {
  const { vpcId, subnetIds, securityGroupIds } = settings;
  if (!vpcId || !subnetIds) return undefined;
  const vpc = Vpc.fromVpcAttributes(scope, 'Network', {
    vpcId,
    privateSubnetIds: subnetIds,
    availabilityZones: subnetIds.map((_, n) => Fn.select(n, Fn.getAzs())),
  });
  const securityGroups = securityGroupIds?.map((id) =>
    SecurityGroup.fromSecurityGroupId(scope, `Group-${id}`, id, { mutable: false }),
  );
  return { vpc, securityGroups: securityGroups ?? [outgoingOnly(scope, vpc)] };
}

/** Nobody connects to pgtwin's functions; they connect to databases wherever they listen. */
export const outgoingOnly = (scope: Construct, vpc: IVpc): ISecurityGroup =>
  new SecurityGroup(scope, 'OutgoingOnly', { vpc, description: 'pgtwin: to the databases and to AWS' });
