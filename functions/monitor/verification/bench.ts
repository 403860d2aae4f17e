import type { Log } from '../../../shared/log/log.ts';
import { havePassed, type Marks, readMarks } from '../../../shared/verify/positions.ts';
import { readTwinTable, type TwinTable } from '../../../shared/verify/tables.ts';
import type { PairContext } from './context.ts';
import type { Clients } from './reader.ts';

const POLL_MS = 15;
/** The streams are that far behind: let the work rest and look again later. */
const PATIENCE_MS = 5_000;

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

  /** Waits until all that was on its way at the marks has arrived. False: not yet. */
  async arrived(marks: Marks): Promise<boolean> {
    const until = Math.min(this.time.deadline, this.time.now() + PATIENCE_MS);
    for (;;) {
      if (await havePassed(this.clients, this.context.pair.id, marks)) return true;
      if (this.time.now() >= until) return false;
      await this.time.sleep(POLL_MS);
    }
  }
}
