import { z } from 'zod';
import { etlStep } from '../etl/steps.ts';
import { nameRewriter } from './rewrite-name.ts';

const name63 = z.string().min(1).max(63);
const pattern = name63.describe('a name; `*` stands for any run of characters');
const tableOrPattern = { schema: pattern, table: pattern.default('*') };

/** Which columns of tables take part; key columns always do. */
export const columnSelection = z.strictObject({
  ...tableOrPattern,
  include: z.array(pattern).min(1).max(1600).optional().describe('only these; left out: all'),
  exclude: z.array(pattern).max(1600).default([]).describe('wins over include'),
});

const expression = z
  .string()
  .min(1)
  .max(200)
  .superRefine((match, context) => {
    const wrong = nameRewriter(match, '').wrong;
    if (wrong !== undefined) context.addIssue({ code: 'custom', message: wrong });
  });

/** One rule of names for many objects. */
const mappingRule = z
  .strictObject({
    level: z.enum(['schema', 'table', 'column']).describe('whose names it makes'),
    schema: pattern.default('*').describe('only in schemas of this name or pattern, as the source has them'),
    table: pattern.default('*').describe('only for tables (or columns of tables) of this name or pattern'),
    column: pattern.default('*').describe('only for columns of this name or pattern'),
    match: expression.optional().describe('regular expression; its first match is replaced'),
    replace: z.string().max(200).default('').describe('what stands in its place; $1 is the first group'),
    prefix: z.string().max(62).default(''),
    suffix: z.string().max(62).default(''),
  })
  .refine((rule) => rule.match !== undefined || rule.prefix !== '' || rule.suffix !== '', {
    path: ['prefix'],
    message: 'a rule needs a prefix, a suffix or match',
  });
export type MappingRule = z.infer<typeof mappingRule>;

/** One object's own name: wins over every rule, and is taken as it is written. */
const mappedName = z
  .strictObject({
    schema: name63,
    table: name63.optional().describe('left out: the name is that of the schema'),
    column: name63.optional(),
    to: name63.describe('its name on the destination'),
    toSchema: name63.optional().describe('of a table: its schema there, instead of the mapped one'),
  })
  .refine((each) => each.column === undefined || each.table !== undefined, {
    path: ['table'],
    message: 'a column is named with its table',
  })
  .refine((each) => each.toSchema === undefined || (each.table !== undefined && each.column === undefined), {
    path: ['toSchema'],
    message: 'only a table has another schema than its neighbours',
  });
export type MappedName = z.infer<typeof mappedName>;

/** How the destination calls the source's schemas, tables and columns. */
export const nameMapping = z.strictObject({
  capitalization: z
    .enum(['default', 'source', 'lower', 'upper'])
    .default('default')
    .describe(
      'default and source: as the source has them; lower and upper: for all names but those of `names`',
    ),
  rules: z.array(mappingRule).max(100).default([]).describe('applied one behind the other'),
  names: z.array(mappedName).max(5000).default([]).describe('one by one; these win over rules'),
});
export type NameMapping = z.infer<typeof nameMapping>;

/** Operations of single tables, over those of the task. */
export const tableOperations = z.strictObject({
  ...tableOrPattern,
  insert: z.boolean().optional(),
  update: z.boolean().optional(),
  delete: z.boolean().optional(),
  truncate: z.boolean().optional(),
});

/** Which rows of tables take part. */
export const rowFilter = z.strictObject({
  ...tableOrPattern,
  where: z
    .string()
    .min(1)
    .max(4000)
    .describe('one boolean SQL expression over the columns of the table, without subqueries; as in WHERE'),
});

/** What is done to the rows of tables in flight, step by step. */
export const tableEtl = z.strictObject({
  ...tableOrPattern,
  steps: z.array(etlStep).min(1).max(50),
});

/** What of tables takes part, and how it is called on the destination. */
export const objectFields = {
  columns: z
    .array(columnSelection)
    .max(5000)
    .default([])
    .describe('columns of tables; those of tables that are not named are all taken'),
  mapping: nameMapping.default({ capitalization: 'default', rules: [], names: [] }),
  operations: z
    .array(tableOperations)
    .max(5000)
    .default([])
    .describe('operations of tables, over those of the task; of several entries the last one counts'),
  filters: z
    .array(rowFilter)
    .max(5000)
    .default([])
    .describe(
      'rows of tables: one that moves into the condition is inserted, one that moves out is deleted; of several entries the last one counts',
    ),
  etl: z
    .array(tableEtl)
    .max(5000)
    .default([])
    .describe('steps of tables; of several entries the last one counts'),
};
