import { directionTo, opposite, type Side, sourceOf, taskIdOf } from '../../../shared/task/schema.ts';
import { keyOfTable, matcherOf } from '../../../shared/task/selection.ts';
import { type Candidate, candidate, type Patience, patience } from '../../../shared/verify/compare.ts';
import type { FoundKey, RepairOrder, Verification } from '../../../shared/verify/model.ts';
import type { KeyPage, StoredRun, VerificationStore } from '../../../shared/verify/store.ts';
import type { TwinTable } from '../../../shared/verify/tables.ts';
import type { Winner } from '../../../shared/verify/winner.ts';
import type { Bench } from './bench.ts';
import { readPairs } from './reader.ts';
import { type Repair, type RepairOptions, repairRows } from './repair-rows.ts';
import { settle } from './settle.ts';
import { leaseFrom } from './verifier.ts';

/** Before a key is repaired, and after it: what changes all the time is not waited for long. */
const before: Patience = { rounds: 1, changes: 8 };
const after: Patience = { ...patience, changes: 8 };

/** Keys of one repairing transaction: it holds apply back for as long as it takes. */
const KEYS = 25;

/** The winner of a table that the order names; undefined if it leaves the table out. */
export function winnerOf(order: RepairOrder, { names }: Pick<TwinTable, 'names'>): Winner | undefined {
  if (!order.tables) return order.winner;
  const { schema, name } = names.a;
  const entry = order.tables.find((each) => matcherOf(each.schema)(schema) && matcherOf(each.table)(name));
  return entry && (entry.winner ?? order.winner);
}

/** The keys of pages that the order means and that are not equal yet; nor were ended by this repair before a crash. */
export function keysToRepair(
  { order, askedAt }: Pick<Repairing, 'order' | 'askedAt'>,
  { names }: Pick<TwinTable, 'names'>,
  pages: readonly KeyPage[],
): FoundKey[] {
  const named = order.keys?.filter((each) => keyOfTable(each) === keyOfTable(names.a));
  const wanted = named && new Set(named.map(({ key }) => JSON.stringify(key)));
  return pages
    .flatMap(({ keys }) => keys)
    .filter(({ key, state, repair }) => {
      const done = state === 'repaired' || state === 'healed' || repair === askedAt;
      return !done && (!wanted || wanted.has(JSON.stringify(key)));
    });
}

type State = Pick<FoundKey, 'state' | 'detail'>;
type Repairing = NonNullable<Verification['repair']>;

/** Pages of keys that are repaired together; they are of one table. */
const PAGES = 20;
type Page = KeyPage & { readonly at: string };

/** The repairing part of a run: page by page of the keys that were found. A page that is done twice does no harm. */
export class Repairer {
  readonly #bench: Bench;
  readonly #store: VerificationStore;
  readonly #stored: StoredRun;

  constructor(bench: Bench, store: VerificationStore, stored: StoredRun) {
    this.#bench = bench;
    this.#store = store;
    this.#stored = stored;
  }

  /** Works until the time is up, or all pages are done: then true. */
  async work(): Promise<boolean> {
    for (;;) {
      const { run } = this.#stored;
      const repair = run.repair!;
      const { pages } = await this.#store.pages(run, { limit: PAGES, after: repair.after ?? undefined });
      const together = pages.filter(({ table }) => table === pages[0]!.table);
      const last = together.at(-1);
      if (!last) return true;
      const states = await this.#repair(together, repair);
      if (!states) return false;
      // The pages first: what they say is counted with the place, once, however often it is done.
      const ended = await this.#savePages(together, states, repair.askedAt);
      const repaired = ended.filter(({ state }) => state === 'repaired' || state === 'healed').length;
      const { time } = this.#bench;
      this.#stored.run = {
        ...run,
        updatedAt: new Date(time.now()).toISOString(),
        leaseUntil: leaseFrom(time),
        repair: {
          ...repair,
          after: last.at,
          repaired: repair.repaired + repaired,
          refused: repair.refused + ended.length - repaired,
        },
      };
      if (!(await this.#store.save(this.#stored)) || this.#bench.timeIsUp) return false;
    }
  }

  /** Gives the keys of the pages that this repair has ended, now or before a crash. */
  async #savePages(
    pages: readonly Page[],
    states: ReadonlyMap<FoundKey, State>,
    askedAt: string,
  ): Promise<FoundKey[]> {
    const ended: FoundKey[] = [];
    for (const { table, page, keys } of pages) {
      const now = keys.map((found) => {
        const { detail: _before, ...rest } = found;
        const state = states.get(found);
        return state ? { ...rest, ...state, repair: askedAt } : found;
      });
      if (states.size > 0) await this.#store.savePage(this.#stored.run, { table, page, keys: now });
      ended.push(...now.filter(({ repair }) => repair === askedAt));
    }
    return ended;
  }

  /** What became of the keys of some pages of a table; undefined if there was no time for all of them. */
  async #repair(
    pages: readonly Page[],
    repair: Repairing,
  ): Promise<ReadonlyMap<FoundKey, State> | undefined> {
    const table = await this.#bench.table(pages[0]!.table);
    const named = winnerOf(repair.order, table);
    const winner = named === 'policy' ? this.#bench.context.winner(table) : named;
    const wanted = winner === undefined ? [] : keysToRepair(repair, table, pages);
    if (winner === undefined || wanted.length === 0) return new Map();
    if (table.way !== 'both' && winner !== sourceOf(table.way)) {
      const detail = 'only the source of a table that is synchronized one way can win';
      return new Map(wanted.map((found) => [found, { state: 'refused', detail }]));
    }
    const work = new RepairWork(this.#bench, {
      table,
      winner,
      arbiter: await this.#arbiter(table),
      generations: this.#stored.run.generations,
    });
    return work.do(wanted);
  }

  /** The side that decides conflicts of the table; null where nobody reads outcomes. */
  async #arbiter(table: TwinTable): Promise<Side | null> {
    const { context, clients } = this.#bench;
    const { arbiter, id } = context.pair;
    if (!context.together || !table.mirrored) return null;
    const task = taskIdOf(id, opposite(directionTo(arbiter)));
    const { rows } = await clients[arbiter].query(
      /* sql */ `select from pgtwin.task where task = $1 and role = 'source' and slot_xmin is not null`,
      [task],
    );
    return rows.length > 0 ? arbiter : null;
  }
}

type WorkOptions = Omit<RepairOptions, 'clients' | 'pair'>;
const textOf = ({ key }: { readonly key: readonly string[] }): string => JSON.stringify(key);

/**
 * The repair of some keys of a table: each is looked at until it is equal. Before it is repaired what was on its way
 * must have arrived, and have left both rows as they were: otherwise the repair would meet changes that are in flight,
 * which the protocol decides rightly, but as a needless conflict.
 */
class RepairWork {
  readonly #bench: Bench;
  readonly #o: WorkOptions;
  readonly #states = new Map<FoundKey, State>();
  readonly #found = new Map<string, FoundKey>();
  readonly #tried = new Set<string>();
  #open: Candidate[] = [];

  constructor(bench: Bench, options: WorkOptions) {
    this.#bench = bench;
    this.#o = options;
  }

  async do(wanted: readonly FoundKey[]): Promise<ReadonlyMap<FoundKey, State> | undefined> {
    for (const found of wanted) this.#found.set(textOf(found), found);
    const pairs = await readPairs(
      this.#bench.clients,
      this.#o.table,
      wanted.map(({ key }) => key),
    );
    this.#open = wanted.map(({ key }, n) => candidate(key, pairs[n]!));
    while (this.#open.length > 0) {
      const marks = await this.#bench.marks();
      if (!(await this.#bench.arrived(marks)) || this.#bench.timeIsUp) return undefined;
      await this.#round();
    }
    return this.#states;
  }

  #isTried = (of: Candidate): boolean => this.#tried.has(textOf(of));
  #end(of: Candidate, state: FoundKey['state'], detail?: string): void {
    this.#states.set(this.#found.get(textOf(of))!, detail === undefined ? { state } : { state, detail });
  }

  async #round(): Promise<void> {
    const { table, arbiter } = this.#o;
    const mayForce = arbiter !== null && this.#bench.context.mayConflict(table);
    const settled = await settle(this.#bench, table, this.#open, (of) =>
      this.#isTried(of) ? after : before,
    );
    this.#open = [...settled.open];
    for (const each of settled.equal) this.#end(each, this.#isTried(each) ? 'repaired' : 'healed');
    const repairs: { of: Candidate; repair: Repair }[] = [];
    for (const each of settled.different)
      if (this.#isTried(each)) this.#end(each, 'refused', 'different again after it was repaired');
      else repairs.push({ of: each, repair: { key: each.key, hashes: each.now } });
    for (const each of settled.unsettled)
      if (this.#isTried(each) && arbiter !== null)
        this.#end(each, 'repaired', 'not seen equal: it is changed all the time');
      else if (mayForce && !this.#isTried(each))
        repairs.push({ of: each, repair: { key: each.key, hashes: null } });
      else this.#end(each, 'changing', 'changed all the time');
    for (let from = 0; from < repairs.length; from += KEYS)
      await this.#write(repairs.slice(from, from + KEYS));
  }

  async #write(repairs: readonly { of: Candidate; repair: Repair }[]): Promise<void> {
    const { clients, context } = this.#bench;
    const results = await repairRows(
      { ...this.#o, clients, pair: context.pair.id },
      repairs.map(({ repair }) => repair),
    );
    for (const [n, result] of results.entries()) {
      const { of } = repairs[n]!;
      if (typeof result === 'object') this.#end(of, 'refused', result.refused);
      else if (result === 'done') {
        this.#tried.add(textOf(of));
        this.#open.push(candidate(of.key, of.hashes));
      } else if (of.changes + 1 >= before.changes) this.#end(of, 'changing', 'changed all the time');
      else this.#open.push({ ...of, rounds: 0, changes: of.changes + 1 });
    }
  }
}
