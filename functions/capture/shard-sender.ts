import { FORMAT_VERSION } from '../../shared/stream/message.ts';
import { lsnText, type Position } from '../../shared/stream/position.ts';
import type { NewHeader, Outbox } from './outbox.ts';
import type { Sealed, ShardRecords } from './shard-records.ts';

/** What the headers of a stream have in common. */
export type StreamFacts = {
  readonly task: string;
  readonly generation: number;
  readonly epoch: number;
  readonly config: number;
};

/** One shard on its way out: what is being collected for it, what waits to be sent, and what was sent last. */
export class ShardSender {
  readonly number: number;
  readonly records: ShardRecords;
  readonly outbox: Outbox;
  readonly #facts: StreamFacts;
  /** Last position that was sealed, and the last one that the queue has taken. */
  previous: Position;
  taken: Position;
  postedAt = 0;

  constructor(
    number: number,
    {
      facts,
      records,
      outbox,
      start,
    }: { facts: StreamFacts; records: ShardRecords; outbox: Outbox; start: Position },
  ) {
    this.number = number;
    this.#facts = facts;
    this.records = records;
    this.outbox = outbox;
    this.previous = start;
    this.taken = start;
  }

  /** The header of the next message; from here on it counts as sealed. */
  next({ span, seen }: Sealed, more: Pick<NewHeader, 'allShards'> = {}): NewHeader {
    const header = {
      v: FORMAT_VERSION,
      ...this.#facts,
      shard: this.number,
      previous: this.previous,
      first: span.first,
      last: span.last,
      endLsn: lsnText(span.endLsn),
      transactions: span.transactions,
      changes: span.changes,
      seen,
      ...more,
    } satisfies NewHeader;
    this.previous = span.last;
    this.postedAt = performance.now();
    return header;
  }

  /** A message without changes behind what the queue has taken. */
  probe(number: number): Promise<void> {
    const at = this.taken;
    const header = {
      v: FORMAT_VERSION,
      ...{ ...this.#facts, shard: this.number, previous: at, first: at, last: at },
      ...{ endLsn: lsnText(0n), transactions: 0, changes: 0, seen: this.records.seen.toText() },
    } satisfies NewHeader;
    return this.outbox.probe(header, number);
  }
}
