import { z } from 'zod';

/** Where alerts go besides the deployment's own topic. */
export const webhook = z.strictObject({
  url: z
    .url({ protocol: /^https?$/ })
    .max(2048)
    .describe('gets a POST with a JSON body; an answer of 2xx takes it, anything else is tried again'),
  secret: z
    .string()
    .min(1)
    .max(2048)
    .describe('reference to the secret that signs each alert: an ARN, or local:<name>'),
});
export type Webhook = z.infer<typeof webhook>;

/** When somebody is told of a task, and how. Each trouble is told once, and once that it is over. */
export const alertSettings = z
  .strictObject({
    failure: z.boolean().default(true).describe('tell when the task is Failed'),
    latencySeconds: z
      .number()
      .int()
      .min(1)
      .max(604_800)
      .nullable()
      .default(null)
      .describe('tell when the latency is above so many seconds; null: never'),
    topicArn: z
      .string()
      .regex(/^arn:[\w-]+:sns:[\w-]+:\d{12}:[\w-]+$/, 'must be the ARN of an SNS topic')
      .optional()
      .describe('SNS topic, instead of that of the deployment'),
    webhook: webhook.optional(),
  })
  .default({ failure: true, latencySeconds: null });
export type AlertSettings = z.infer<typeof alertSettings>;
