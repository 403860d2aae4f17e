import { z } from 'zod';
import { alertSettings } from './alert-config.ts';
import { checkConflictFields, conflictFields, policy } from './conflict-config.ts';
import { loadLimits, noLimits } from './load-limits.ts';
import { objectFields } from './objects.ts';

/** The two sides of a pair; `forward` goes from `a` to `b`, `reverse` from `b` to `a`. */
export const sides = ['a', 'b'] as const;
export type Side = (typeof sides)[number];
export const directions = ['forward', 'reverse'] as const;
export type Direction = (typeof directions)[number];

export const sourceOf = (direction: Direction): Side => (direction === 'forward' ? 'a' : 'b');
export const destinationOf = (direction: Direction): Side => (direction === 'forward' ? 'b' : 'a');
/** The direction whose changes arrive at a side. */
export const directionTo = (side: Side): Direction => (side === 'b' ? 'forward' : 'reverse');
export const opposite = (direction: Direction): Direction =>
  direction === 'forward' ? 'reverse' : 'forward';

/** Pair ids are short and of [a-z0-9], so that they fit in names of slots, publications, queues and origins. */
export const pairId = z.string().regex(/^[a-z0-9]{4,20}$/, 'must be 4 to 20 of a-z and 0-9');
/** `<pair>_f` or `<pair>_r`. */
export const taskIdOf = (pair: string, direction: Direction): string => `${pair}_${direction[0]}`;
export const pairOfTask = (taskId: string): string => taskId.slice(0, -2);
export const directionOfTask = (taskId: string): Direction => (taskId.endsWith('_f') ? 'forward' : 'reverse');
export const oppositeTask = (taskId: string): string =>
  taskIdOf(pairOfTask(taskId), opposite(directionOfTask(taskId)));

const name63 = z.string().min(1).max(63);

/** How to reach one database. The password is never here: `secret` names where it is kept. */
export const endpoint = z.strictObject({
  host: z.string().min(1).max(255).describe('host name, address, or a folder of a unix socket'),
  port: z.number().int().min(1).max(65535).default(5432),
  database: name63,
  user: name63,
  secret: z
    .string()
    .min(1)
    .max(2048)
    .describe('ARN of a Secrets Manager secret, or local:<name> on the local platform'),
  tls: z.enum(['disable', 'require', 'verify-full']).default('require'),
  region: z.string().max(64).optional().describe('a label only'),
});
export type Endpoint = z.infer<typeof endpoint>;

export const tableName = z.strictObject({ schema: name63, name: name63 });
export type TableName = z.infer<typeof tableName>;

/** Which tables a task synchronizes: names may be patterns with `*`; exclude wins. */
export const objectSelection = z.strictObject({
  include: z
    .array(z.strictObject({ schema: name63, table: name63.default('*') }))
    .min(1)
    .max(5000)
    .describe('schema and table; `*` stands for any run of characters'),
  exclude: z
    .array(z.strictObject({ schema: name63, table: name63.default('*') }))
    .max(5000)
    .default([]),
  ...objectFields,
});

export const policies = policy.options;
export type PolicyName = z.infer<typeof policy>;

const minutes = (least: number, value: number) => z.number().int().min(least).max(1440).default(value);

/** What a task does; every field has a default except the objects. */
export const taskConfig = z
  .strictObject({
    objects: objectSelection,
    types: z
      .strictObject({
        schema: z.boolean().default(true),
        full: z.boolean().default(true),
        incremental: z.boolean().default(true),
      })
      .default({ schema: true, full: true, incremental: true }),
    ...conflictFields,
    conflictingTables: z
      .enum(['precheck', 'ignore'])
      .default('precheck')
      .describe('existing, not empty tables on the destination: fail the precheck, or keep their rows'),
    operations: z
      .strictObject({
        insert: z.boolean().default(true),
        update: z.boolean().default(true),
        delete: z.boolean().default(true),
        truncate: z.boolean().default(true),
      })
      .default({ insert: true, update: true, delete: true, truncate: true }),
    walRetention: z.enum(['until-applied', 'until-queued']).default('until-applied'),
    retryConnectionMinutes: minutes(10, 720),
    retryOtherMinutes: minutes(1, 10),
    failedSlotHours: z
      .number()
      .int()
      .min(1)
      .max(720)
      .default(72)
      .describe('a failed task keeps its slot for so long, then the slot is dropped to save the disk'),
    limits: loadLimits
      .default(noLimits)
      .describe('load on the source; changed while running by PATCH limits'),
    alerts: alertSettings,
    copyParallelism: z.number().int().min(1).max(64).default(4),
    chunkRows: z.number().int().min(1000).max(10_000_000).default(250_000),
    synchronousCommit: z.boolean().default(true).describe('false: faster; safe, WAL is kept until flushed'),
  })
  .refine((c) => c.retryOtherMinutes < c.retryConnectionMinutes, {
    path: ['retryOtherMinutes'],
    message: 'must be smaller than retryConnectionMinutes',
  })
  .superRefine(checkConflictFields);
export type TaskConfig = z.infer<typeof taskConfig>;

/** States of a task (requirements, section 1). The moves between them are in machine.ts. */
export const taskStates = [
  'NotConfigured',
  'Prechecking',
  'PrecheckFailed',
  'PrecheckPassed',
  'Initializing',
  'Running',
  'Retrying',
  'Pausing',
  'Paused',
  'Failed',
  'Finished',
  'Releasing',
  'Released',
] as const;
export const taskState = z.enum(taskStates);
export type TaskState = z.infer<typeof taskState>;

/** One entry of a task's history: every change of state is one. */
export const taskEvent = z.strictObject({
  at: z.string(),
  from: taskState,
  to: taskState,
  input: z.string(),
  cause: z.string().describe('why, for a person'),
  actor: z.string().describe('who: a token name, or a component such as capture'),
});
export type TaskEvent = z.infer<typeof taskEvent>;

/** What a task last failed with: a code of the error table, a sentence and the way out. */
export const taskError = z.strictObject({
  code: z.string(),
  detail: z.string(),
  advice: z.string(),
  at: z.string(),
  conflict: z.string().optional().describe('id of the conflict that stopped the task'),
});
export type TaskError = z.infer<typeof taskError>;

/** The verification with repair that follows a restart, which keeps rows, once both tasks run again. */
export const verifyAfter = z.strictObject({
  /** When the restart was asked for: tells it from that of another restart. */
  at: z.string(),
  by: z.string(),
  winner: z.enum(sides).optional().describe('the side whose rows stay; absent: as the conflict policies say'),
  run: z.string().optional().describe('the verification that does it'),
});
export type VerifyAfter = z.infer<typeof verifyAfter>;

/** A task as stored: small, changed only by conditional writes on `version`. The newest events are inside. */
export const task = z.strictObject({
  id: z.string(),
  pairId,
  direction: z.enum(directions),
  state: taskState,
  /** Raised by every write; the condition of every write. */
  version: z.number().int(),
  /** Raised by every new configuration; tells apply that its cached copy is old. */
  configVersion: z.number().int(),
  /** Raised by start and restart; positions of different generations do not compare. */
  generation: z.number().int(),
  /** What was there when the task went into Retrying or Pausing: the state to return to. */
  returnTo: taskState.optional(),
  autoStart: z.boolean().default(false).describe('the reverse starts by itself when the forward is Running'),
  retryingSince: z.string().optional(),
  failedSince: z.string().optional().describe('the deadline of the slot counts from here'),
  /** Those of the configuration, or what they were changed to while the task ran. */
  limits: loadLimits.optional(),
  error: taskError.optional(),
  verifyAfter: verifyAfter.optional(),
  events: z.array(taskEvent),
  createdAt: z.string(),
  updatedAt: z.string(),
});
export type Task = z.infer<typeof task>;

export const pair = z.strictObject({
  id: pairId,
  name: z.string().min(1).max(128),
  environment: z.string().max(64).optional(),
  pool: z.string().max(64).default('default').describe('which capture service picks the tasks up'),
  arbiter: z.enum(sides).default('b'),
  shards: z
    .number()
    .int()
    .min(1)
    .max(16)
    .default(1)
    .describe(
      'with more than one, rows of different shards are applied side by side and transactions are not whole',
    ),
  sides: z.strictObject({ a: endpoint, b: endpoint }),
  createdAt: z.string(),
});
export type Pair = z.infer<typeof pair>;

/** What the database's own catalogue says of a selected table when the task was prepared. */
export const preparedTable = z.strictObject({
  schema: name63,
  name: name63,
  key: z.array(name63).min(1).describe('columns of the replica identity, in key order'),
  added: z
    .boolean()
    .optional()
    .describe('it came while the task ran: it is copied, whatever `types.full` says'),
  columns: z.array(name63).optional().describe('those that are synchronized, in order; absent: all'),
  shared: z
    .boolean()
    .optional()
    .describe('`columns` are those that the destination has as well: the others are left out'),
  types: z.array(z.string()).optional().describe('of `columns`, where steps are carried out on rows'),
  filter: z
    .strictObject({
      where: z.string(),
      columns: z.array(z.strictObject({ name: name63, type: z.string() })),
    })
    .optional()
    .describe('the condition for rows that apply evaluates, with the columns that it names'),
  publish: z
    .strictObject({ columns: z.array(name63).optional(), where: z.string().optional() })
    .optional()
    .describe('what the publication restricts the table to'),
  references: z
    .array(z.string())
    .optional()
    .describe('its foreign keys on the source, as signatures (shared/postgres/foreign-keys.ts)'),
  shard: z
    .union([z.number().int().min(0), z.literal('key')])
    .optional()
    .describe('where its rows go: all to one shard, or each by its key; absent: to the first'),
});
export type PreparedTable = z.infer<typeof preparedTable>;

/** Live figures of a task, written by its capture every few seconds. */
export const taskStatus = z.strictObject({
  at: z.string(),
  phase: z.string(),
  latencySeconds: z.number().nullable(),
  rowsApplied: z.number(),
  transactionsApplied: z.number(),
  conflicts: z.number(),
  conflictsByKind: z.record(z.string(), z.number()).default({}).describe('of this run, by kind'),
  rowsPerSecond: z.number(),
  bytesPerSecond: z.number(),
  walRetainedBytes: z.number().nullable(),
  position: z.string().nullable(),
  copy: z
    .strictObject({
      tables: z.number(),
      tablesDone: z.number(),
      rowsEstimated: z.number(),
      rowsDone: z.number(),
      bytesDone: z.number(),
      percent: z.number(),
      etaSeconds: z.number().nullable(),
    })
    .nullable(),
  retries: z.number().optional().describe('interruptions since this capture has the task'),
  notes: z.array(z.string()).default([]).describe('what falls back to what, for a person'),
});
export type TaskStatus = z.infer<typeof taskStatus>;
