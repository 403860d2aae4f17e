import {
  type Candidate,
  judge,
  kindOf,
  type Pair,
  type Patience,
  patience,
} from '../../../shared/verify/compare.ts';
import type { FoundKey } from '../../../shared/verify/model.ts';
import type { TwinTable } from '../../../shared/verify/tables.ts';
import type { Bench } from './bench.ts';
import { readDifferingColumns, readPairs } from './reader.ts';

/** What a new look at candidates says of them. */
export type Settled = {
  readonly equal: readonly Candidate[];
  readonly different: readonly (Candidate & { readonly now: Pair })[];
  readonly unsettled: readonly Candidate[];
  /** To be looked at once more. */
  readonly open: readonly Candidate[];
};

/** To be called when all that was on its way at the last look has arrived. */
export async function settle(
  bench: Bench,
  table: TwinTable,
  candidates: readonly Candidate[],
  patienceWith: (known: Candidate) => Patience = () => patience,
): Promise<Settled> {
  const pairs = await readPairs(
    bench.clients,
    table,
    candidates.map(({ key }) => key),
  );
  const settled = {
    equal: [] as Candidate[],
    different: [] as (Candidate & { now: Pair })[],
    unsettled: [] as Candidate[],
    open: [] as Candidate[],
  };
  for (const [n, known] of candidates.entries()) {
    const judgement = judge(known, pairs[n]!, patienceWith(known));
    if (judgement === 'different') settled.different.push({ ...known, now: pairs[n]! });
    else if (typeof judgement === 'string') settled[judgement].push(known);
    else settled.open.push(judgement);
  }
  return settled;
}

/** Differences that count, with the columns in which they differ. */
export async function describe(
  bench: Bench,
  table: TwinTable,
  different: Settled['different'],
): Promise<FoundKey[]> {
  const inBoth = different.filter(({ now }) => now.a !== null && now.b !== null);
  const names = await readDifferingColumns(
    bench.clients,
    table,
    inBoth.map(({ key }) => key),
  );
  const columns = new Map(inBoth.map((each, n) => [each, names[n]!]));
  return different.map((each) => ({
    key: [...each.key],
    kind: kindOf(table.way, each.now),
    columns: columns.get(each) ?? [],
    state: 'open',
  }));
}
