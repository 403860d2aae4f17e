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

export type Finding = Omit<PrecheckItem, 'ignored'>;

/** Puts findings and what is ignored together. An item that may not be ignored stays as it is. */
export function reportOf(input: {
  readonly at: string;
  readonly milliseconds: number;
  readonly configVersion: number;
  readonly tables: number;
  readonly findings: readonly Finding[];
  readonly ignored: readonly IgnoredItem[];
}): PrecheckReport {
  const { findings, ignored, ...facts } = input;
  const names = new Set(ignored.map(({ item }) => item));
  const items = findings.map((finding) => ({
    ...finding,
    ignored: finding.status !== 'passed' && finding.ignorable && names.has(finding.item),
  }));
  const good = items.filter((item) => item.status === 'passed' || item.ignored).length;
  const ready = items.length > 0 && good === items.length;
  // Rounded down, so that 100 is said only when all is good.
  const successRate = items.length === 0 ? 0 : Math.floor((good * 1000) / items.length) / 10;
  return { ...facts, successRate, ready, items, ignored: [...ignored] };
}

/** What the report's items found, without what was ignored. */
export const findingsOf = (report: PrecheckReport): Finding[] =>
  report.items.map(({ ignored: _ignored, ...finding }) => finding);
