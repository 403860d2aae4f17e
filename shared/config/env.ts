import { z } from 'zod';
import { PgtwinError } from '../errors/pgtwin-error.ts';

/** Every environment variable that pgtwin's functions read. This is the only folder that touches process.env. */
export const environment = z.object({
  PGTWIN_TABLE: z.string().min(1).describe('name of the DynamoDB table'),
  PGTWIN_BUCKET: z.string().min(1).describe('S3 bucket for the parts of large transactions'),
  PGTWIN_PREFIX: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,30}$/, 'must be a-z, 0-9 and -, at most 31 characters')
    .default('pgtwin')
    .describe('first part of the names of queues'),
  PGTWIN_COPY_QUEUE_URL: z.url().optional().describe('SQS queue of the chunks of the full copy'),
  PGTWIN_APPLY_FUNCTION: z
    .string()
    .optional()
    .describe('name or ARN of the apply function; absent on the local platform, which polls by itself'),
  PGTWIN_SECRETS: z
    .string()
    .regex(/^(secrets-manager|file:.+)$/, 'must be secrets-manager or file:<path>')
    .default('secrets-manager')
    .describe('where database passwords are kept'),
  PGTWIN_API_TOKENS: z
    .string()
    .optional()
    .describe(
      'bearer tokens as name:role:token, or name:role:sha256:<hex>, separated by commas; roles viewer, operator, admin',
    ),
  PGTWIN_API_TOKENS_SECRET: z.string().optional().describe('secret with the same content'),
  PGTWIN_API_PRINCIPALS: z
    .string()
    .optional()
    .describe('IAM principals at a function URL that asks for them: role=arn-pattern, separated by commas'),
  PGTWIN_POOL: z.string().default('default').describe('which tasks a capture picks up'),
  PGTWIN_POLL_MS: z.coerce
    .number()
    .int()
    .min(50)
    .max(60_000)
    .default(1_000)
    .describe('ms between two looks of a capture for tasks to start; each look is one query'),
  PGTWIN_LEASE_MS: z.coerce
    .number()
    .int()
    .min(1000)
    .max(300_000)
    .default(10_000)
    .describe('after this many ms without a sign of life another capture takes a task over'),
  PGTWIN_ALERT_TOPIC: z
    .string()
    .optional()
    .describe('ARN of the SNS topic that alerts go to where a task names none'),
  PGTWIN_MOST_TABLES: z.coerce
    .number()
    .int()
    .min(1)
    .default(5000)
    .describe('most tables that the precheck allows in one task'),
  PGTWIN_HOST: z
    .string()
    .min(1)
    .default('127.0.0.1')
    .describe('address that the API listens on under Node; 0.0.0.0 for all'),
  PGTWIN_PORT: z.coerce.number().int().min(0).max(65535).default(8080).describe('port of the API under Node'),
  PGTWIN_CONSOLE: z
    .string()
    .min(1)
    .optional()
    .describe('folder of the built web console; by default the one beside the API’s bundle'),
  PGTWIN_LOG: z.string().default('info').describe('level, then levels by area: info,capture=debug'),
});
export type Environment = z.infer<typeof environment>;

/** The environment, checked; throws `environment-invalid` that names each wrong variable. */
export function readEnvironment(
  source: Readonly<Record<string, string | undefined>> = process.env,
): Environment {
  const known = Object.fromEntries(Object.entries(source).filter(([, value]) => value !== ''));
  const parsed = environment.safeParse(known);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((i) => `${i.path.join('.')}: ${i.message}`).join('; ');
  throw new PgtwinError('environment-invalid', { detail: `Environment: ${problems}.` });
}
