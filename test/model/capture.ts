import { hybridTime } from '../../shared/conflict/hybrid-time.ts';
import { commonSeen, parseSeen, type Seen, seenText, unionSeen } from '../../shared/conflict/seen.ts';
import { type Database, shardOf, type WalChange, type WalEntry, xid32 } from './database.ts';
import type { Random } from './random.ts';

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
  readonly shard: number;
  readonly previous: number;
  readonly transactions: readonly Sent[];
  /** One transaction that concerns several shards. */
  readonly whole: boolean;
};

/** What belongs to a WAL position: saved with the checkpoint before that position is confirmed. By shard. */
type Checkpoint = {
  readonly position: number;
  readonly seen: readonly string[];
  readonly newest: bigint;
  readonly previous: readonly number[];
};

type Choose = <T>(from: readonly T[]) => T;

/** A capture: reads WAL in commit order, knows what its side had seen at each point. */
export class Capture {
  /** By shard. */
  readonly queues: readonly Message[][];
  private readonly database: Database;
  private readonly other: Database;
  private readonly random: Random;
  private readonly shards: number;
  /** Transactions of one key are sent as a whole now and then: large ones are. */
  private readonly large: boolean;
  private epoch = 0;
  private saved: Checkpoint;
  private position = 0;
  /** Last position sent; what is not sent again, since it is applied. */
  previous: number[];
  private skipUpTo: number[];
  private newest = 0n;
  private seen: Seen[];
  private history: Checkpoint[] = [];
  /** Position of a transaction of several shards that all must have before anything else is sent. */
  private behind = -1;

  constructor(
    database: Database,
    seen: Seen,
    of: { other: Database; random: Random; shards: number; large: boolean },
  ) {
    this.database = database;
    this.other = of.other;
    this.random = of.random;
    this.shards = of.shards;
    this.large = of.large;
    this.queues = Array.from({ length: of.shards }, () => []);
    this.previous = Array<number>(of.shards).fill(-1);
    this.skipUpTo = [...this.previous];
    this.seen = Array<Seen>(of.shards).fill(seen);
    this.saved = this.checkpoint();
    this.history = [this.saved];
  }

  get wantedEpoch(): number {
    return this.epoch;
  }

  get isAtEnd(): boolean {
    return this.position >= this.database.wal.length;
  }

  /** Reads so many transactions and sends them, a message for each shard. */
  read(count: number): void {
    let messages = this.emptyMessages();
    const send = (): void => {
      for (const message of messages)
        if (message.transactions.length > 0) this.queues[message.shard]!.push(message);
      messages = this.emptyMessages();
    };
    for (; count > 0 && !this.isAtEnd; count--) {
      const entry = this.database.wal[this.position]!;
      const whole = this.isWhole(entry);
      if (whole) send();
      if (whole && !this.haveApplied(this.previous)) return; // rule: gate-before
      if (!this.haveApplied(this.previous.map(() => this.behind))) break; // rule: gate-behind
      for (const [shard, text] of entry.progress ?? []) this.see(shard, parseSeen(text)); // rule: progress-in-stream
      const time = this.seen.reduce((newest, seen) => (seen.time > newest ? seen.time : newest), this.newest);
      this.newest = hybridTime(entry.commit, time);
      if (whole) this.sendWhole(entry);
      else
        for (const message of messages) {
          const changes = entry.changes.filter(
            ({ key }) => shardOf(key, this.shards) === message.shard || this.shards === 1,
          );
          if (entry.kind !== 'heartbeat' && changes.length === 0) continue;
          if (this.shards > 1 && this.position <= this.skipUpTo[message.shard]!) continue;
          (message.transactions as Sent[]).push(this.sent(entry, changes, this.seen[message.shard]!));
          this.previous[message.shard] = this.position;
        }
      this.position++;
      this.history.push(this.checkpoint());
    }
    send();
  }

  /** Confirms a position that the other side has applied; what is saved is the state that belongs to it. */
  confirm(watermarks: readonly number[], choose: Choose): void {
    const isApplied = ({ position, previous }: Checkpoint): boolean =>
      this.shards === 1
        ? position - 1 <= watermarks[0]!
        : previous.every((last, shard) => last <= watermarks[shard]!);
    const possible = this.history.filter((each) => isApplied(each) || each.position === this.saved.position);
    const base = choose(possible);
    this.saved = this.shards === 1 ? base : this.furtherOn(base, watermarks, choose);
    this.history = this.history.filter(({ position }) => position >= this.saved.position);
  }

  /** A new connection: everything from the confirmed position again, in a new epoch. */
  restart(loseQueue: boolean): void {
    this.epoch++;
    if (loseQueue) for (const queue of this.queues) queue.length = 0;
    this.position = this.saved.position;
    this.previous = [...this.saved.previous];
    if (this.shards > 1) this.previous = [...this.other.state.watermarks];
    this.skipUpTo = [...this.previous];
    this.behind = -1;
    this.newest = this.saved.newest;
    this.seen = this.saved.seen.map(parseSeen); // rule: saved-seen
    this.history = [this.checkpoint()];
  }

  /** What it has sent, or waits for, was lost: nothing is on its way, and not all is applied. */
  get isStuck(): boolean {
    return this.queues.every(({ length }) => length === 0) && !this.haveApplied(this.previous);
  }

  /** Each shard may be further on than the position that is confirmed, with what it had seen there. */
  private furtherOn(base: Checkpoint, watermarks: readonly number[], choose: Choose): Checkpoint {
    const later = this.history.filter(({ position }) => position >= base.position);
    const at = watermarks.map((watermark, shard) =>
      choose(later.filter(({ previous }) => previous[shard]! <= watermark).concat(base)),
    );
    return { ...base, seen: at.map(({ seen }, shard) => seen[shard]!) };
  }

  private haveApplied(positions: readonly number[]): boolean {
    return positions.every((position, shard) => this.other.state.watermarks[shard]! >= position);
  }

  private isWhole({ changes }: WalEntry): boolean {
    if (this.shards === 1 || changes.length === 0) return false;
    const crosses = changes.some(
      ({ op, key, to }) =>
        op === 'truncate' || (op === 'move' && shardOf(key, this.shards) !== shardOf(to!, this.shards)),
    );
    return crosses || (this.large && this.random.chance(0.1));
  }

  private sendWhole(entry: WalEntry): void {
    if (this.skipUpTo.every((applied) => this.position <= applied)) return;
    const common = this.seen.reduce(commonSeen); // rule: common-seen
    this.queues[0]!.push({
      ...this.emptyMessages()[0]!,
      ...{ whole: true, transactions: [this.sent(entry, entry.changes, common)] },
    });
    this.previous.fill(this.position);
    this.behind = this.position;
  }

  private emptyMessages(): Message[] {
    return this.previous.map((previous, shard) => ({
      ...{ epoch: this.epoch, shard, previous, transactions: [], whole: false },
    }));
  }

  private see(shard: number, seen: Seen): void {
    this.seen[shard] = unionSeen(this.seen[shard]!, seen);
  }

  private sent(entry: WalEntry, changes: readonly WalChange[], seen: Seen): Sent {
    return {
      position: this.position,
      xid: xid32(entry.xid),
      time: this.newest,
      seen: seenText(seen),
      changes,
      floor: entry.floor,
      next: entry.next,
    };
  }

  private checkpoint(): Checkpoint {
    const { position, newest, previous, seen } = this;
    return { position, seen: seen.map(seenText), newest, previous: [...previous] };
  }
}
