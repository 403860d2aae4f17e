import type { BenchDatabases } from './databases.ts';
import type { Native } from './native.ts';
import type { Replication } from './replication.ts';
import type { Twin } from './twin.ts';

/** What all pieces of work are given. */
export type Bench = {
  readonly databases: BenchDatabases;
  readonly native: Native;
  readonly twin: Twin;
  readonly rounds: number;
  readonly quick: boolean;
  /** pgbench's scale: 100,000 accounts each. */
  readonly scale: number;
  /** Only one of the two; then there is no ratio. */
  readonly only: 'native' | 'pgtwin' | undefined;
  readonly say: (line: string) => void;
  /** Takes profiles of pgtwin's processes from here on; call the result to end and write them. */
  readonly profile: ((on: Pick<Replication, 'processes'>) => Promise<() => Promise<void>>) | undefined;
};

/** Runs a measurement on both, in turns that change their order, so that a drift of the machine meets both. */
export async function alternate<Result>(
  { rounds, native, twin, only }: Bench,
  measure: (on: Native | Twin, round: number) => Promise<Result>,
): Promise<{ native: Result[]; pgtwin: Result[] }> {
  const results: { native: Result[]; pgtwin: Result[] } = { native: [], pgtwin: [] };
  for (let round = 0; round < rounds; round++)
    for (const on of round % 2 === 0 ? [native, twin] : [twin, native])
      if (!only || only === on.name) results[on.name].push(await measure(on, round));
  return results;
}
