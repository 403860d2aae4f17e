import { z } from 'zod';

export const itemStatus = z.enum(['passed', 'alert', 'failed']);

/** What one item found. `fix` is SQL to be run as it stands, each entry saying where. */
export const precheckItem = z.strictObject({
  item: z.string(),
  title: z.string(),
  status: itemStatus,
  ignorable: z.boolean(),
  ignored: z.boolean(),
  cause: z.string().describe('what was found; for a passed item, what makes it pass'),
  fix: z.array(z.strictObject({ side: z.enum(['source', 'destination']), sql: z.string() })),
  details: z.array(z.string()),
});
export type PrecheckItem = z.infer<typeof precheckItem>;

export const ignoredItem = z.strictObject({ item: z.string(), by: z.string(), at: z.string() });
export type IgnoredItem = z.infer<typeof ignoredItem>;

/** The report of one precheck of one configuration. The task may start when `ready`. */
export const precheckReport = z.strictObject({
  at: z.string(),
  milliseconds: z.number(),
  configVersion: z.number().int(),
  tables: z.number().int().describe('selected tables'),
  successRate: z.number().describe('percent of the items that passed or are ignored'),
  ready: z.boolean(),
  items: z.array(precheckItem),
  ignored: z.array(ignoredItem).describe('who ignored what, and when'),
});
export type PrecheckReport = z.infer<typeof precheckReport>;
