import type { Log } from '../../../shared/log/log.ts';
import { havePassed, type Marks, readMarks } from '../../../shared/verify/positions.ts';
import { readTwinTable, type TwinTable } from '../../../shared/verify/tables.ts';
import type { PairContext } from './context.ts';
import type { Clients } from './reader.ts';

/** First so soon, then ever slower: streams that are behind are not to be asked all the time. */
const POLL_MS = { first: 10, last: 250 };

export type Timing = {
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** Milliseconds since 1970 at which the work has to be put away. */
  readonly deadline: number;
};

/** What all parts of a step work with: the connections, the pair, the time that is left. */
export class Bench {
  readonly clients: Clients;
  readonly context: PairContext;
  readonly time: Timing;
  readonly log: Log;
  #table: { readonly number: number; readonly table: TwinTable } | undefined;

  constructor(options: { clients: Clients; context: PairContext; time: Timing; log: Log }) {
    this.clients = options.clients;
    this.context = options.context;
    this.time = options.time;
    this.log = options.log;
  }

  get timeIsUp(): boolean {
    return this.time.now() >= this.time.deadline;
  }

  /** The table with this number, read once while it is under work. */
  async table(number: number): Promise<TwinTable> {
    if (this.#table?.number === number) return this.#table.table;
    const table = await readTwinTable(this.clients, this.context.twins[number]!);
    this.#table = { number, table };
    return table;
  }

  /** Where the streams stand now, with a heartbeat behind it. */
  marks(): Promise<Marks> {
    return readMarks(this.clients, this.context.pair.id, this.context.streaming);
  }

  /** Waits until all that was on its way at the marks has arrived. False: not in the time that there is. */
  async arrived(marks: Marks): Promise<boolean> {
    for (let pollMs = POLL_MS.first; ; pollMs = Math.min(POLL_MS.last, pollMs * 1.5)) {
      if (await havePassed(this.clients, this.context.pair.id, marks)) return true;
      if (this.timeIsUp) return false;
      await this.time.sleep(pollMs);
    }
  }
}
