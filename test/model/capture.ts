import { hybridTime } from '../../shared/conflict/hybrid-time.ts';
import { parseSeen, type Seen, seenText } from '../../shared/conflict/seen.ts';
import { type Database, type WalChange, type WalEntry, xid32 } from './database.ts';

/** A transaction as it is sent: Begin's 32-bit xid, what its side had seen by then, a heartbeat's floor. */
export type Sent = {
  readonly position: number;
  readonly xid: number;
  readonly time: bigint;
  readonly seen: string;
  readonly changes: readonly WalChange[];
  readonly floor: bigint | undefined;
  readonly next: bigint | undefined;
};

export type Message = {
  readonly epoch: number;
  readonly previous: number;
  readonly transactions: readonly Sent[];
};

/** What belongs to a WAL position: saved with the checkpoint before that position is confirmed. */
type Checkpoint = {
  readonly position: number;
  readonly seen: string;
  readonly newest: bigint;
  readonly previous: number;
};

/** A capture: reads WAL in commit order, knows what its side had seen at each point. */
export class Capture {
  readonly queue: Message[] = [];
  private readonly database: Database;
  private epoch = 0;
  private saved: Checkpoint;
  private position = 0;
  private previous = -1;
  private newest = 0n;
  private seen: Seen;
  private history: Checkpoint[] = [];

  constructor(database: Database, seen: Seen) {
    this.database = database;
    this.seen = seen;
    this.saved = this.checkpoint();
    this.history = [this.saved];
  }

  get wantedEpoch(): number {
    return this.epoch;
  }

  get isAtEnd(): boolean {
    return this.position >= this.database.wal.length;
  }

  /** Reads so many transactions and sends them as one message. */
  read(count: number): void {
    const previous = this.previous;
    const transactions: Sent[] = [];
    for (; count > 0 && !this.isAtEnd; count--) {
      const entry = this.database.wal[this.position]!;
      if (entry.progress !== undefined) this.seen = parseSeen(entry.progress); // rule: progress-in-stream
      const newest = this.seen.time > this.newest ? this.seen.time : this.newest;
      this.newest = hybridTime(entry.commit, newest);
      if (entry.kind !== 'applied' || entry.changes.length > 0) transactions.push(this.send(entry));
      this.position++;
      this.history.push(this.checkpoint());
    }
    if (transactions.length > 0) this.queue.push({ epoch: this.epoch, previous, transactions });
  }

  /** Confirms a position that the other side has applied; what is saved is the state that belongs to it. */
  confirm(watermark: number, choose: (from: readonly Checkpoint[]) => Checkpoint): void {
    const possible = this.history.filter(
      ({ position }) => position - 1 <= watermark || position === this.saved.position,
    );
    this.saved = choose(possible);
    this.history = this.history.filter(({ position }) => position >= this.saved.position);
  }

  /** A new connection: everything from the confirmed position again, in a new epoch. */
  restart(loseQueue: boolean): void {
    this.epoch++;
    if (loseQueue) this.queue.length = 0;
    this.position = this.saved.position;
    this.previous = this.saved.previous;
    this.newest = this.saved.newest;
    this.seen = parseSeen(this.saved.seen); // rule: saved-seen
    this.history = [this.saved];
  }

  private send(entry: WalEntry): Sent {
    this.previous = this.position;
    return {
      position: this.position,
      xid: xid32(entry.xid),
      time: this.newest,
      seen: seenText(this.seen),
      changes: entry.changes,
      floor: entry.floor,
      next: entry.next,
    };
  }

  private checkpoint(): Checkpoint {
    const { position, newest, previous } = this;
    return { position, seen: seenText(this.seen), newest, previous };
  }
}
