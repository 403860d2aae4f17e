import { z } from '@hono/zod-openapi';
import { directions, pairId, tableName, taskState } from '../task/schema.ts';
import {
  foundKey,
  repairOrder,
  tableReport,
  verification,
  verifyCounts,
  verifyOptions,
} from '../verify/model.ts';

/** The shapes of verification, repair and cut-over in the HTTP API. */
const runId = z.string().regex(/^[0-9a-z]{8,40}$/, 'must be the id of a verification');
export const runParams = z.object({ id: pairId, run: runId });

export const startVerificationBody = verifyOptions.clone().openapi('StartVerification', {
  example: { mode: 'full', tables: [{ schema: 'public', table: 'orders' }] },
});

export const verificationView = z
  .strictObject({
    ...verification.pick({
      id: true,
      pairId: true,
      status: true,
      options: true,
      by: true,
      startedAt: true,
      updatedAt: true,
      finishedAt: true,
      waiting: true,
      error: true,
      tables: true,
      tablesDone: true,
      tablesFailed: true,
      tablesSkipped: true,
    }).shape,
    counts: verifyCounts.describe('of all tables so far'),
    equal: z
      .boolean()
      .nullable()
      .describe('of a finished run: whether all that was compared is the same on both sides'),
    current: z
      .strictObject({ a: tableName, b: tableName, rows: z.number().int() })
      .optional()
      .describe('the table under work'),
    repair: z
      .strictObject({
        order: repairOrder,
        by: z.string(),
        askedAt: z.string(),
        repaired: z.number().int(),
        refused: z.number().int(),
      })
      .optional(),
  })
  .openapi('Verification');
export type VerificationView = z.infer<typeof verificationView>;

const next = z.string().optional().describe('cursor of the next page; absent on the last');
export const verificationList = z
  .strictObject({ verifications: z.array(verificationView), next })
  .openapi('VerificationList');
export const tableReports = z.strictObject({ tables: z.array(tableReport), next }).openapi('TableReports');

export const differenceQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(500).default(50),
  cursor: z.string().max(1024).optional(),
  table: z.coerce
    .number()
    .int()
    .min(0)
    .optional()
    .describe('only of the table with this number of the reports'),
});
export type DifferenceQuery = z.infer<typeof differenceQuery>;
export const differenceView = foundKey
  .extend({
    a: tableName,
    b: tableName,
    key: z.array(z.string()).optional().describe('keys are shown to operators and admins only'),
  })
  .openapi('RowDifference');
export const differenceList = z
  .strictObject({ differences: z.array(differenceView), next })
  .openapi('RowDifferences');

export const repairBody = repairOrder.clone().openapi('RepairVerification', { example: { winner: 'a' } });

export const cutoverBody = z
  .strictObject({
    direction: z
      .enum(directions)
      .default('forward')
      .describe('forward: the application moves from side a to side b; reverse: back'),
    dryRun: z.boolean().default(false).describe('only show what would be done'),
    force: z.boolean().default(false).describe('set the sequences though a check has failed'),
  })
  .openapi('Cutover', { example: { direction: 'forward', dryRun: true } });
export type CutoverBody = z.infer<typeof cutoverBody>;

export const cutoverCheck = z.strictObject({
  check: z.string(),
  ok: z.boolean(),
  detail: z.string(),
});
export const cutoverSequence = z.strictObject({
  schema: z.string(),
  name: z.string(),
  old: z.string().describe('the value that the destination would have given next'),
  new: z.string().describe('the value that it gives next now; the same if it was far enough'),
  source: z.string().nullable().describe('the last value that the source has given; null: none yet'),
  sql: z.string().nullable().describe('null: nothing to do'),
  note: z.string().optional(),
});
export const cutoverReport = z
  .strictObject({
    direction: z.enum(directions),
    dryRun: z.boolean(),
    at: z.string(),
    ready: z.boolean().describe('all checks passed'),
    checks: z.array(cutoverCheck),
    sequences: z.array(cutoverSequence),
    sql: z.array(z.string()).describe('what was run on the destination, or would be'),
    states: z.strictObject({ forward: taskState, reverse: taskState }),
  })
  .openapi('CutoverReport');
export type CutoverReport = z.infer<typeof cutoverReport>;
