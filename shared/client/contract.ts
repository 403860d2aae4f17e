import { z } from '@hono/zod-openapi';
import { policy } from '../task/conflict-config.ts';
import { limitsPatch, loadLimits } from '../task/load-limits.ts';
import { nameMapping } from '../task/objects.ts';
import {
  directions,
  endpoint,
  pair,
  pairId,
  sides,
  tableName,
  task,
  taskConfig,
  taskError,
  taskEvent,
  taskStatus,
} from '../task/schema.ts';
import { precheckReport } from './precheck-report.ts';
import { problem } from './problem.ts';

/** The shapes of the HTTP API: requests are checked with them, and OpenAPI is made of them. */
export const problemBody = problem.clone().openapi('Problem');

const pairIdParam = pairId.clone().openapi({ example: 'k3v9x0qa7m' });
const directionParam = z.enum(directions).openapi({ example: 'forward' });
export const pairParams = z.object({ id: pairIdParam });
export const taskParams = z.object({ id: pairIdParam, direction: directionParam });
export type TaskParams = z.infer<typeof taskParams>;

const pageSize = z.coerce.number().int().min(1).max(500);
export const pageQuery = z.strictObject({
  limit: pageSize.default(50),
  cursor: z.string().max(1024).optional().describe('`next` of the page before'),
});

/** An endpoint as it is given: a URL or its parts, and the password or where it is kept. */
export const endpointInput = z
  .strictObject({
    url: z
      .string()
      .max(4096)
      .optional()
      .describe('postgres://user:password@host:port/database?sslmode=require, instead of the parts'),
    host: endpoint.shape.host.optional(),
    port: z.number().int().min(1).max(65535).optional(),
    database: endpoint.shape.database.optional(),
    user: endpoint.shape.user.optional(),
    password: z
      .string()
      .min(1)
      .max(1024)
      .optional()
      .describe('put into the secret store at once, and never given back'),
    secret: endpoint.shape.secret.optional(),
    tls: z.enum(['disable', 'require', 'verify-full']).optional().describe('default require'),
    region: endpoint.shape.region,
  })
  .openapi('EndpointInput');
export type EndpointInput = z.infer<typeof endpointInput>;

export const createPairBody = z
  .strictObject({
    name: pair.shape.name.optional().describe('need not be unique; assigned if left out'),
    environment: pair.shape.environment,
    pool: pair.shape.pool,
    arbiter: pair.shape.arbiter,
    shards: pair.shape.shards,
    sides: z.strictObject({ a: endpointInput, b: endpointInput }),
  })
  .openapi('CreatePair', {
    example: {
      name: 'shop',
      shards: 1,
      sides: {
        a: { url: 'postgres://sync:secret@a.example.com:5432/shop?sslmode=verify-full' },
        b: { host: 'b.example.com', port: 5432, database: 'shop', user: 'sync', secret: 'local:shop-b' },
      },
    },
  });
export type CreatePairBody = z.infer<typeof createPairBody>;

/** Endpoints are the pair's. They may be given again with a task, and must then be the same. */
const givenSides = z
  .strictObject({ a: endpointInput.optional(), b: endpointInput.optional() })
  .optional()
  .describe('may be given again; must then be those of the pair');
export const configureBody = taskConfig
  .safeExtend({
    autoStart: z
      .boolean()
      .default(false)
      .describe('reverse only: starts by itself when the forward task runs'),
    sides: givenSides,
  })
  .openapi('Configure', { example: { objects: { include: [{ schema: 'public', table: '*' }] } } });
export type ConfigureBody = z.infer<typeof configureBody>;
export const configureBothBody = z
  .strictObject({ forward: configureBody, reverse: configureBody.optional() })
  .openapi('ConfigureBoth', {
    example: {
      forward: { objects: { include: [{ schema: 'public', table: '*' }] } },
      reverse: { objects: { include: [{ schema: 'public', table: '*' }] }, autoStart: true },
    },
  });

export const precheckBody = z
  .strictObject({
    ignoreAlerts: z.boolean().default(false).describe('ignore every alert that may be ignored'),
    ignore: z.array(z.string().max(64)).max(64).default([]).describe('items to ignore, by name'),
    items: z.array(z.string().max(64)).min(1).max(64).optional().describe('run only these again'),
    onlyOpen: z.boolean().default(false).describe('run again only what had not passed'),
  })
  .openapi('RunPrecheck', { example: { ignoreAlerts: true } });
export const ignoreBody = z
  .strictObject({ item: z.string().min(1).max(64) })
  .openapi('IgnoreItem', { example: { item: 'long-transactions' } });

export const actions = [
  'configure',
  'precheck',
  'start',
  'pause',
  'resume',
  'retry',
  'restart',
  'release',
] as const;
export type Action = (typeof actions)[number];

export const restartBody = z
  .strictObject({
    verify: z
      .enum(['compare', 'repair'])
      .default('compare')
      .describe('when both tasks run again, both sides are compared; repair: and what differs is repaired'),
    winner: z
      .enum(sides)
      .optional()
      .describe("the side whose rows stay in the repair; left out: as each table's conflict policy says"),
  })
  .openapi('Restart', { example: { verify: 'repair', winner: 'a' } });
export type RestartBody = z.infer<typeof restartBody>;

export const taskView = z
  .strictObject({
    id: task.shape.id,
    pairId,
    direction: task.shape.direction,
    state: task.shape.state,
    version: task.shape.version,
    generation: task.shape.generation,
    configured: z.boolean(),
    autoStart: z.boolean(),
    allowedActions: z.array(z.enum(actions)),
    limits: task.shape.limits.describe('load limits in effect; absent before the first configuration'),
    returnTo: task.shape.returnTo,
    retryingSince: z.string().optional(),
    error: taskError.optional(),
    status: taskStatus.optional().describe('progress and latency, as of `at`'),
    precheck: z.strictObject({ at: z.string(), successRate: z.number(), ready: z.boolean() }).optional(),
    createdAt: z.string(),
    updatedAt: z.string(),
  })
  .openapi('Task');
export type TaskView = z.infer<typeof taskView>;

const storedConfig = taskConfig.clone().openapi('TaskConfig');
// Not by extend(), which OpenAPI would show as two closed objects at once, that no value fits.
export const taskDetail = z
  .strictObject({
    ...taskView.shape,
    config: storedConfig.optional(),
    events: z.array(taskEvent).describe('the newest first'),
  })
  .openapi('TaskDetail');
export type TaskDetail = z.infer<typeof taskDetail>;

export const pairView = z
  .strictObject({
    id: pairId,
    name: pair.shape.name,
    environment: pair.shape.environment,
    pool: z.string(),
    shards: z.number().int(),
    arbiter: z.enum(sides),
    sides: z.strictObject({ a: endpoint, b: endpoint }),
    createdAt: z.string(),
    deleting: z.boolean().describe('released by DELETE; removed when both tasks are Released'),
    tasks: z.strictObject({ forward: taskView, reverse: taskView }),
  })
  .openapi('Pair');
export type PairView = z.infer<typeof pairView>;

const next = z.string().optional().describe('cursor of the next page; absent on the last');
export const pairList = z.strictObject({ pairs: z.array(pairView), next }).openapi('PairList');
export const eventList = z.strictObject({ events: z.array(taskEvent), next }).openapi('EventList');
export const bothTasks = z.strictObject({ forward: taskDetail, reverse: taskDetail }).openapi('BothTasks');

export const connectivity = z.strictObject({
  ok: z.boolean(),
  milliseconds: z.number(),
  serverVersion: z.string().optional(),
  encrypted: z.boolean().optional(),
  problem: problemBody.optional(),
});
export type Connectivity = z.infer<typeof connectivity>;
export const connectivityReport = z
  .strictObject({ source: connectivity, destination: connectivity })
  .openapi('Connectivity');

export const previewView = z
  .strictObject({
    request: z.strictObject({
      method: z.string(),
      path: z.string(),
      body: configureBothBody,
    }),
    forward: z.strictObject({ tables: z.array(tableName), count: z.number().int() }),
    reverse: z.strictObject({ tables: z.array(tableName), count: z.number().int() }).optional(),
  })
  .openapi('Preview');

export const sideParams = z.object({ id: pairIdParam, side: z.enum(sides).openapi({ example: 'a' }) });
const tablePage = {
  limit: z.coerce.number().int().min(1).max(1000).default(500),
  cursor: z.string().max(1024).optional().describe('`next` of the page before'),
  search: z.string().max(128).optional().describe('only names (schema.table) that hold this text'),
};
export const catalogQuery = z.strictObject({
  ...tablePage,
  columns: z.enum(['true', 'false']).default('false').describe('with the columns of each table'),
});
export type CatalogQuery = z.infer<typeof catalogQuery>;
export const catalogTable = z.strictObject({
  schema: z.string(),
  name: z.string(),
  kind: z.enum(['ordinary', 'partitioned', 'foreign']),
  rowsEstimated: z.number(),
  sizeBytes: z.number(),
  key: z.array(z.string()).nullable().describe('columns that name a row; null: it can not be synchronized'),
  columns: z
    .array(z.strictObject({ name: z.string(), type: z.string(), notNull: z.boolean() }))
    .optional()
    .describe('if asked for'),
});
export type CatalogTable = z.infer<typeof catalogTable>;
export const catalogList = z
  .strictObject({
    tables: z.array(catalogTable).describe('by name; partitions stand under their topmost table'),
    next,
  })
  .openapi('CatalogTables');

export const copyQuery = z.strictObject({
  ...tablePage,
  state: z.enum(['waiting', 'copying', 'done']).optional(),
});
export type CopyQuery = z.infer<typeof copyQuery>;
export const copyTable = z.strictObject({
  schema: z.string(),
  name: z.string(),
  state: z.enum(['waiting', 'copying', 'done']),
  rowsEstimated: z.number(),
  rowsDone: z.number(),
  bytesEstimated: z.number(),
  percent: z.number(),
});
export type CopyTableView = z.infer<typeof copyTable>;
export const copyList = z
  .strictObject({ tables: z.array(copyTable).describe('of the full copy of this run, by name'), next })
  .openapi('CopyTables');

const objectsOnly = z.strictObject({ objects: taskConfig.shape.objects });
export const previewObjectsBody = z
  .strictObject({ forward: objectsOnly, reverse: objectsOnly.optional() })
  .openapi('PreviewObjects', {
    example: {
      forward: {
        objects: {
          include: [{ schema: 'shop' }],
          mapping: {
            rules: [{ level: 'table', prefix: 'old_' }],
            names: [{ schema: 'shop', to: 'archive' }],
          },
        },
      },
    },
  });
export type PreviewObjectsBody = z.infer<typeof previewObjectsBody>;

const objectsView = z.strictObject({
  count: z.number().int(),
  tables: z.array(
    z.strictObject({
      source: tableName,
      destination: tableName,
      columns: z
        .array(z.strictObject({ source: z.string().nullable(), destination: z.string() }))
        .describe('those that are synchronized; source null: a step of `etl` makes it'),
    }),
  ),
  inverse: nameMapping.shape.names
    .removeDefault()
    .describe(
      'names that lead exactly back: `mapping.names` of the opposite task, if it is to mirror the tables',
    ),
});
/** What objects are and how they will be called, as the databases are today. */
export const previewObjectsView = z
  .strictObject({ forward: objectsView, reverse: objectsView.optional() })
  .openapi('ObjectsPreview');

export const conflictQuery = z.strictObject({
  limit: pageSize.default(50),
  cursor: z
    .string()
    .regex(/^\d{1,18}$/, 'must be `next` of the page before')
    .optional(),
  schema: z.string().max(63).optional(),
  table: z.string().max(63).optional(),
  kind: z.string().max(64).optional(),
  policy: z.enum([...policy.options, 'chosen']).optional(),
  result: z.string().max(64).optional(),
  since: z.iso.datetime({ offset: true }).optional(),
});
export type ConflictQuery = z.infer<typeof conflictQuery>;

export const conflictView = z
  .strictObject({
    id: z.string(),
    at: z.string(),
    position: z.string(),
    kind: z.string(),
    suspectedKind: z
      .string()
      .nullable()
      .describe('of kind "unsure": what it is, if its author had not seen the row after all'),
    policy: z.string(),
    result: z.string(),
    schema: z.string(),
    table: z.string(),
    constraint: z.string().nullable(),
    firstPosition: z.string().nullable().describe('of the first of several changes that it stands for'),
    sourceTime: z.string().nullable().describe('of the version that arrived; null where it is not known'),
    destinationTime: z.string().nullable(),
    sourceSide: z.enum(sides).nullable().describe('where the version that arrived was written'),
    destinationSide: z.enum(sides).nullable().describe('where the version that it met was written'),
    sourceHash: z.string().nullable().describe('SHA-256, where the task keeps no rows in the log'),
    destinationHash: z.string().nullable(),
    key: z.unknown().optional().describe('rows and keys are shown to operators and admins only'),
    sourceRow: z.unknown().optional(),
    destinationRow: z.unknown().optional(),
  })
  .openapi('Conflict');
export const conflictList = z
  .strictObject({ conflicts: z.array(conflictView), next })
  .openapi('ConflictList');
export type ConflictView = z.infer<typeof conflictView>;

const conflictId = z
  .string()
  .regex(/^\d{1,18}$/, 'must be the id of a conflict')
  .openapi({ example: '17' });
export const conflictParams = taskParams.extend({ conflictId });

/** One conflict, with what a person can still do about it. */
export const conflictDetail = z
  .strictObject({
    ...conflictView.shape,
    choice: z
      .strictObject({ take: z.enum(['source', 'destination']), by: z.string(), at: z.string() })
      .optional()
      .describe('what was chosen; carried out when the task is tried again'),
    offers: z
      .array(z.enum(['take-source', 'keep-destination', 'retry']))
      .describe('of a conflict that stopped the task'),
  })
  .openapi('ConflictDetail');
export type ConflictDetail = z.infer<typeof conflictDetail>;
export const resolveBody = z
  .strictObject({
    take: z.enum(['source', 'destination']).describe('the version that arrived, or the one that is there'),
  })
  .openapi('ResolveConflict', { example: { take: 'source' } });

/** What a task may take from its source, and a change of it. */
export const limitsView = loadLimits.clone().openapi('LoadLimits');
export const limitsBody = limitsPatch
  .clone()
  .openapi('ChangeLimits', { example: { incremental: { rowsPerSecond: 5000 } } });

/** One request that was no mere reading: who asked for what, when, and what became of it. */
export const auditEntry = z
  .strictObject({
    at: z.string(),
    actor: z.string().describe('name of the token, or ARN of the IAM principal'),
    role: z.enum(['viewer', 'operator', 'admin']),
    operation: z.string().describe('operationId'),
    status: z.number().int().describe('of the answer; 4xx: it was refused'),
    pair: z.string().optional(),
    direction: z.enum(directions).optional(),
    problem: z.string().optional().describe('code of the error'),
    note: z.string().optional(),
  })
  .openapi('AuditEntry');
export type AuditEntry = z.infer<typeof auditEntry>;
export const auditQuery = pageQuery.extend({
  pair: z.string().max(20).optional().describe('only what concerns this pair'),
  actor: z.string().max(2048).optional().describe('only what this actor asked for'),
});
export const auditList = z.strictObject({ entries: z.array(auditEntry), next }).openapi('AuditList');

/** An action to be looked at before it is asked for. */
export const actionPreviewBody = z
  .strictObject({
    operation: z.string().min(1).max(64).describe('operationId of the action'),
    id: pairIdParam.optional(),
    direction: directionParam.optional(),
    conflictId: conflictId.optional(),
    body: z.unknown().optional().describe('the body of the request, if it has one'),
  })
  .openapi('PreviewAction', {
    example: { operation: 'pauseTask', id: 'k3v9x0qa7m', direction: 'forward' },
  });
export const actionPreview = z
  .strictObject({
    method: z.string(),
    path: z.string(),
    headers: z.record(z.string(), z.string()),
    body: z.unknown().optional().describe('with all defaults; passwords are replaced'),
    curl: z.string().describe('the same as a command line; $PGTWIN_API and $PGTWIN_TOKEN are to be set'),
    role: z.enum(['viewer', 'operator', 'admin']).describe('the least role that may ask for it'),
    allowed: z.boolean().describe('whether it would be taken now, for as far as role and state tell'),
    refusal: z.string().optional().describe('why not'),
  })
  .openapi('ActionPreview');

export const historyQuery = z.strictObject({
  hours: z.coerce.number().int().min(1).max(24).default(24).describe('how far back'),
});
export const historyView = z
  .strictObject({
    points: z
      .array(
        z.strictObject({
          at: z.string(),
          latencySeconds: z.number().nullable(),
          rowsPerSecond: z.number(),
          bytesPerSecond: z.number(),
        }),
      )
      .describe('by the minute, the oldest first; minutes in which nothing ran are left out'),
  })
  .openapi('History');
export type HistoryView = z.infer<typeof historyView>;

/** Who a request comes from, by its token or its IAM principal. */
export const whoami = z
  .strictObject({
    name: z.string().describe('of the token, or the ARN of the principal'),
    role: z.enum(['viewer', 'operator', 'admin']).describe('each may do what those before it may'),
  })
  .openapi('Whoami');

export const health = z.strictObject({ status: z.literal('ok') }).openapi('Health');
export const reportView = precheckReport.clone().openapi('PrecheckReport');
