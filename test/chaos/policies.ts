import type { PolicyName } from '../../shared/task/schema.ts';

/** No clock, no dice: the same answer for the same two versions. Two rows of which one must go: the smaller text stays. */
const resolver = /* js */ `
export default ({ source, destination }) => {
  if (!source.row || !destination.row) return source.row ? 'source' : 'destination';
  const [one, other] = [JSON.stringify(source.row), JSON.stringify(destination.row)];
  if (source.row.id !== destination.row.id || one.length % 3 > 0) return one < other ? 'source' : 'destination';
  return 'n' in source.row ? { n: String(Math.max(Number(source.row.n), Number(destination.row.n))) } : 'source';
};`;

/** SQL before the tasks start: policies that measure from old rows need them in the stream. */
export const identityOf = (policy: PolicyName): string => {
  const hot = ['item', 'rank', 'scratch'];
  const needed =
    policy === 'merge-columns'
      ? [...hot, 'ledger', 'counter', 'owner', 'pet', 'leash']
      : policy === 'delta'
        ? hot
        : [];
  return needed.map((name) => `alter table ${name} replica identity full;`).join(' ');
};

/** A conflict may wait for a person. */
export const mayStop = (policy: PolicyName): boolean => policy === 'task-failed' || policy === 'resolver';

/**
 * The fields of both tasks. Whatever the policy, the increments of `tally` add up, and of `halves` each side owns a
 * column: both must be exact at the end.
 */
export const conflictFieldsOf = (policy: PolicyName): Record<string, unknown> => {
  const columns = (table: string) => ({ schema: 'public', table, columns: ['n'] });
  return {
    conflictPolicy: policy,
    deltaColumns: [columns('tally'), ...(policy === 'delta' ? ['item', 'part', 'rank'].map(columns) : [])],
    tablePolicies: [{ schema: 'public', table: 'halves', conflictPolicy: 'merge-columns' }],
    ...(policy === 'resolver' ? { resolver: { source: resolver } } : {}),
  };
};
