import type { App } from 'aws-cdk-lib';
import { z } from 'zod';
import { APPLY_TIMEOUT_SECONDS } from '../../shared/aws/delivery.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';

const list = z
  .string()
  .transform((text) => text.split(',').map((part) => part.trim()))
  .pipe(z.array(z.string().min(1)).min(1));

/** What may be chosen at a deployment, as CDK context: `npm run deploy -- -c name=value`. */
export const settings = z
  .strictObject({
    prefix: z
      .string()
      .regex(/^[a-z][a-z0-9-]{0,30}$/)
      .default('pgtwin')
      .describe('first part of all names; one deployment per prefix and region'),
    vpcId: z
      .string()
      .optional()
      .describe('VPC from which the databases are reached; without it: the internet'),
    subnetIds: list.optional().describe('private subnets of that VPC, separated by commas'),
    securityGroupIds: list.optional().describe('security groups that the databases admit'),
    secretArns: list.optional().describe("ARNs (or patterns) of the user's own secrets with passwords"),
    apiPrincipals: z
      .string()
      .regex(
        /^(viewer|operator|admin)=arn:[^\s,]+(,(viewer|operator|admin)=arn:[^\s,]+)*$/,
        'must be role=arn,…',
      )
      .optional()
      .describe(
        'the API takes requests signed by these IAM principals: role=arn-pattern, separated by commas',
      ),
    alarmTopicArn: z
      .string()
      .optional()
      .describe('SNS topic that is told of alarms, and of alerts of tasks that name none'),
    alertTopicArns: list.optional().describe('further SNS topics that tasks may name for their alerts'),
    latencyAlarmSeconds: z.coerce.number().min(1).default(300).describe('latency of a task that is an alarm'),
    walAlarmGigabytes: z.coerce
      .number()
      .positive()
      .default(20)
      .describe('WAL kept by a slot that is an alarm'),
    removal: z
      .enum(['retain', 'destroy'])
      .default('retain')
      .describe('table, bucket and logs after a destroy'),
    applyTimeoutSeconds: z.coerce
      .number()
      .int()
      .min(10)
      .max(APPLY_TIMEOUT_SECONDS)
      .default(APPLY_TIMEOUT_SECONDS)
      .describe('longest apply; after a crash, its messages come again a minute later than this'),
    copyConcurrency: z.coerce.number().int().min(2).max(1000).default(16).describe('chunks copied at once'),
    captureCount: z.coerce
      .number()
      .int()
      .min(0)
      .max(20)
      .default(1)
      .describe('containers that share the tasks'),
    capturePool: z.string().max(64).default('default').describe('which tasks the captures pick up'),
    log: z.string().default('info').describe('level, then levels by area: info,capture=debug'),
  })
  .refine((s) => (s.vpcId === undefined) === (s.subnetIds === undefined), {
    path: ['subnetIds'],
    message: 'vpcId and subnetIds go together',
  });
export type Settings = z.infer<typeof settings>;

/** Reads the settings from CDK context; throws `environment-invalid` that names each wrong one. */
export function readSettings(app: App): Settings {
  const names = Object.keys(settings.shape);
  const given = names.map((name) => [name, app.node.tryGetContext(name) as unknown] as const);
  const parsed = settings.safeParse(Object.fromEntries(given.filter(([, value]) => value !== undefined)));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((i) => `${i.path.join('.')}: ${i.message}`).join('; ');
  throw new PgtwinError('environment-invalid', { detail: `CDK context: ${problems}.` });
}
