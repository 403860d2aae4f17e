import { z } from 'zod';
import { missingParentRules } from '../conflict/foreign-keys.ts';
import { policyNames, wholeRowPolicies } from '../conflict/policies/policy.ts';
import { compileResolver } from './load-resolver.ts';

const name63 = z.string().min(1).max(63);
const side = z.enum(['a', 'b']);

export const policy = z.enum(policyNames);

const fallbackPolicy = z.enum(wholeRowPolicies);
const onDeleted = z
  .enum(['restore', 'stay-deleted', 'by-time'])
  .describe('an update of a deleted row: brings it back, is dropped, or the later of both wins');

const resolver = z
  .strictObject({
    source: z
      .string()
      .min(1)
      .max(65_536)
      .superRefine((source, context) => {
        const wrong = compileResolver(source);
        if (wrong !== undefined) context.addIssue({ code: 'custom', message: wrong });
      })
      .describe('text of a JavaScript module whose default export is (contest) => row or verdict; pure'),
  })
  .describe('for policy resolver; runs at the arbiter only, without I/O and for a short time');

/** What stands for one table in the place of the task's own fields. */
const tablePolicy = z.strictObject({
  schema: name63,
  table: name63,
  conflictPolicy: policy.optional(),
  onDeleted: onDeleted.optional(),
  preferredSide: side.optional(),
  fallbackPolicy: fallbackPolicy.optional(),
  resolver: resolver.optional(),
});
export type TablePolicy = z.infer<typeof tablePolicy>;

/** The fields of a task's configuration that say how conflicts are decided and logged (shared/conflict/protocol.md). */
export const conflictFields = {
  conflictPolicy: policy.default('overwrite').describe('who wins a conflict'),
  tablePolicies: z.array(tablePolicy).max(5000).default([]),
  decide: z
    .enum(['arbiter', 'each-side'])
    .default('arbiter')
    .describe('each-side: both decide for themselves, and may end different'),
  onDeleted: onDeleted.default('restore'),
  missingParent: z
    .enum(missingParentRules)
    .default('restore-parent')
    .describe('a row whose parent the other side has deleted: brings the parent back, or is deleted'),
  preferredSide: side
    .default('a')
    .describe('wins with source-priority, and where times are equal or not known'),
  fallbackPolicy: fallbackPolicy
    .default('last-write-wins')
    .describe('decides what merge-columns and delta can not'),
  deltaColumns: z
    .array(z.strictObject({ schema: name63, table: name63, columns: z.array(name63).min(1).max(100) }))
    .max(5000)
    .default([])
    .describe('numeric columns whose increments of both sides add up, with any policy'),
  resolver: resolver.optional(),
  catchUpPolicy: z
    .enum(['same', 'overwrite'])
    .default('same')
    .describe('overwrite: what was committed before the task was resumed or restarted wins'),
  conflictLog: z
    .strictObject({
      rows: z.enum(['full', 'hash']).default('full').describe('both versions, or their SHA-256'),
      retentionDays: z.number().int().min(1).max(3650).default(30),
    })
    .default({ rows: 'full', retentionDays: 30 }),
};

const config = z.object(conflictFields);
type ConflictConfig = z.infer<typeof config>;
export type DeltaColumns = ConflictConfig['deltaColumns'][number];

/** How one table's conflicts are decided: its own fields over the task's. */
export function policyOf(of: ConflictConfig, table: { readonly schema: string; readonly name: string }) {
  const isIt = (each: { schema: string; table: string }) =>
    each.schema === table.schema && each.table === table.name;
  const own = of.tablePolicies.find(isIt);
  const source = own?.resolver ?? of.resolver;
  return {
    policy: own?.conflictPolicy ?? of.conflictPolicy,
    onDeleted: own?.onDeleted ?? of.onDeleted,
    preferredSide: own?.preferredSide ?? of.preferredSide,
    fallback: own?.fallbackPolicy ?? of.fallbackPolicy,
    deltaColumns: of.deltaColumns.find(isIt)?.columns ?? [],
    resolver: source?.source,
  };
}
export type TablePolicyInEffect = ReturnType<typeof policyOf>;

/** True if the policy measures what changed from the row that a change was made on. */
export const needsOldRows = ({ policy: chosen, deltaColumns }: TablePolicyInEffect): boolean =>
  chosen === 'merge-columns' || deltaColumns.length > 0;

/** True if a conflict of the task may stop it, and a person's choice may be waiting. */
export const mayStop = (of: ConflictConfig): boolean =>
  [of, ...of.tablePolicies].some(
    (each) =>
      each.conflictPolicy === 'task-failed' ||
      each.conflictPolicy === 'resolver' ||
      each.fallbackPolicy === 'task-failed',
  );

/** What of a configuration compares commit times, in words; `[]` if nothing does. */
export function comparesTimes(of: ConflictConfig): string[] {
  const all = [of, ...of.tablePolicies];
  const mayFallBack = all.some(({ conflictPolicy: p }) => p === 'merge-columns' || p === 'delta');
  const byFallback = mayFallBack && all.some((each) => each.fallbackPolicy === 'last-write-wins');
  return [
    ...(all.some((each) => each.conflictPolicy === 'last-write-wins') ? ['policy last-write-wins'] : []),
    ...(byFallback ? ['fallback policy last-write-wins'] : []),
    ...(all.some((each) => each.onDeleted === 'by-time') ? ['onDeleted by-time'] : []),
  ];
}

/** Fields that contradict each other, as zod's issues. */
export function checkConflictFields(of: ConflictConfig, context: z.core.$RefinementCtx): void {
  const issue = (path: (string | number)[], message: string) =>
    context.addIssue({ code: 'custom', path, message, input: of });
  for (const field of ['tablePolicies', 'deltaColumns'] as const) {
    const names = of[field].map((each) => JSON.stringify([each.schema, each.table]));
    const twice = names.findIndex((name, n) => names.indexOf(name) < n);
    if (twice >= 0) issue([field, twice], 'names a table a second time');
  }
  if (of.conflictPolicy === 'delta' && of.deltaColumns.length === 0)
    issue(['deltaColumns'], 'policy delta needs the columns whose increments add up');
  if (of.conflictPolicy === 'resolver' && !of.resolver)
    issue(['resolver'], 'policy resolver needs the text of its module');
  for (const [n, own] of of.tablePolicies.entries()) {
    const { policy: chosen, deltaColumns, resolver: text } = policyOf(of, { ...own, name: own.table });
    if (own.conflictPolicy === 'delta' && deltaColumns.length === 0)
      issue(
        ['tablePolicies', n, 'conflictPolicy'],
        'policy delta needs an entry of the table in deltaColumns',
      );
    if (chosen === 'resolver' && text === undefined)
      issue(['tablePolicies', n, 'resolver'], 'policy resolver needs the text of its module');
  }
}
