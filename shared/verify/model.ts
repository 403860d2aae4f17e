import { z } from 'zod';
import { directions, pairId, sides, tableName } from '../task/schema.ts';
import { differenceKinds } from './compare.ts';
import { winners } from './winner.ts';

/** The most tables that one call names. */
const TABLES = 1_000;
const entry = z.strictObject({
  schema: z.string().min(1).max(63),
  table: z.string().min(1).max(63).default('*'),
});

/** What a verification is to do. */
export const verifyOptions = z.strictObject({
  mode: z
    .enum(['full', 'sampled'])
    .default('full')
    .describe('all rows, or those of some pages of each table'),
  samplePercent: z.number().min(0.01).max(100).default(1).describe('of the pages, with mode "sampled"'),
  tables: z
    .array(entry)
    .min(1)
    .max(TABLES)
    .optional()
    .describe("of the tasks' tables only these; `*` stands for any run of characters"),
  rowsPerSecond: z
    .number()
    .int()
    .min(100)
    .max(10_000_000)
    .default(100_000)
    .describe('at most so many rows are read a second, on each side'),
  maxKeys: z
    .number()
    .int()
    .min(1)
    .max(100_000)
    .default(1_000)
    .describe('so many differing keys of a table are kept, and can be repaired; all are counted'),
  repair: z
    .enum(winners)
    .optional()
    .describe(
      "repair at once what differs: this side wins, or the one that each table's conflict policy speaks for",
    ),
});
export type VerifyOptions = z.infer<typeof verifyOptions>;

const number = z.number().int().min(0).default(0);

export const verifyCounts = z.strictObject({
  rowsOnA: number.describe('rows read on side a'),
  rowsOnB: number,
  buckets: number.describe('groups of rows that were compared by one hash on each side'),
  bucketsDiffering: number.describe('of them those that were looked at row by row'),
  missingOnA: number,
  missingOnB: number,
  different: number,
  extra: number.describe('rows that only the destination of a one-way table has'),
  rechecked: number.describe(
    'rows that differed at first and were equal once what was on its way had arrived',
  ),
  unsettled: number.describe('keys that were changed so often that nothing can be said of them'),
});
export type VerifyCounts = z.infer<typeof verifyCounts>;
export const noCounts: VerifyCounts = verifyCounts.parse({});

const failure = z.strictObject({ code: z.string(), detail: z.string(), advice: z.string() });

/** What was found in one table. */
export const tableReport = z.strictObject({
  number: z.number().int(),
  a: tableName,
  b: tableName,
  way: z.enum(['both', ...directions]).describe('both: kept alike in both directions'),
  counts: verifyCounts,
  seconds: z.number(),
  keysKept: z.number().int(),
  notes: z.array(z.string()),
  error: failure.optional().describe('why it could not be compared'),
  skipped: z.string().optional().describe('why it is not compared: its rows may rightly differ'),
});
export type TableReport = z.infer<typeof tableReport>;

/** A key whose rows differ. Values of other columns are never kept. */
export const foundKey = z.strictObject({
  key: z.array(z.string()),
  kind: z.enum(differenceKinds),
  columns: z
    .array(z.string())
    .describe('those that differ, by their names on side a; empty if a row is missing'),
  state: z.enum(['open', 'repaired', 'healed', 'refused', 'changing']).default('open'),
  detail: z.string().optional(),
  repair: z.string().optional().describe('when the repair was asked for that the state is of'),
});
export type FoundKey = z.infer<typeof foundKey>;

export const repairOrder = z.strictObject({
  winner: z.enum(winners).describe("the side whose rows stay; policy: as each table's conflict policy says"),
  tables: z
    .array(entry.extend({ winner: z.enum(sides).optional() }))
    .min(1)
    .max(TABLES)
    .optional()
    .describe('only these, each with a winner of its own if it is to have one'),
  keys: z
    .array(tableName.extend({ key: z.array(z.string().max(4096)).min(1).max(32) }))
    .min(1)
    .max(500)
    .optional()
    .describe('only these keys, as the report gives them'),
});
export type RepairOrder = z.infer<typeof repairOrder>;

export const runStatuses = ['verifying', 'repairing', 'finished', 'failed', 'cancelled'] as const;

const hash = z.string().nullable();
const candidate = z.strictObject({
  key: z.array(z.string()).readonly(),
  hashes: z.strictObject({ a: hash, b: hash }),
  rounds: z.number().int(),
  changes: z.number().int(),
});

/** Where the work on a run stands, so that another invocation can go on from there. */
export const progress = z.strictObject({
  table: z.number().int().describe('number of the table under work'),
  report: tableReport.optional().describe('of that table, so far; absent: not begun'),
  after: z.array(z.string()).nullable().describe('the key up to which ranges were compared'),
  rangeRows: z.number().int(),
  sample: z.strictObject({ side: z.enum(sides), heap: z.number().int(), stretch: z.number().int() }),
  compared: z.boolean().describe('all rows of the table were read; candidates may be left'),
  candidates: z.array(candidate).readonly(),
  marks: z.strictObject({ forward: z.string().optional(), reverse: z.string().optional() }),
});
export type Progress = z.infer<typeof progress>;
export const freshProgress = (table: number): Progress => ({
  table,
  after: null,
  rangeRows: 2_000,
  sample: { side: 'a', heap: 0, stretch: 0 },
  compared: false,
  candidates: [],
  marks: {},
});

/** A verification as it is stored: one item, below DynamoDB's 400 KB whatever the number of tables. */
export const verification = z.strictObject({
  v: z.literal(1),
  id: z.string(),
  pairId,
  status: z.enum(runStatuses),
  options: verifyOptions,
  by: z.string(),
  startedAt: z.string(),
  updatedAt: z.string(),
  finishedAt: z.string().optional(),
  waiting: z.string().optional().describe('what the run waits for'),
  error: failure.optional(),
  tables: z.number().int().describe('tables of the tasks that are compared'),
  tablesDone: z.number().int(),
  tablesFailed: z.number().int().describe('tables that could not be compared'),
  tablesSkipped: z
    .number()
    .int()
    .default(0)
    .describe('tables that are not compared, for they have a filter or steps; the reports say why'),
  counts: verifyCounts.describe('sums over the tables that are done'),
  /** Runs of the tasks: positions and table lists of others do not compare. */
  generations: z.strictObject({ forward: z.number().int(), reverse: z.number().int() }),
  progress,
  repair: z
    .strictObject({
      order: repairOrder,
      by: z.string(),
      askedAt: z.string(),
      after: z.string().nullable().describe('the page of keys that was repaired last'),
      repaired: z.number().int(),
      refused: z.number().int(),
    })
    .optional(),
  /** Until then one invocation works on it. */
  leaseUntil: z.string(),
});
export type Verification = z.infer<typeof verification>;
