import type { Row, Value } from '../../shared/conflict/rows.ts';
import {
  beginXid,
  columns,
  type Database,
  ownerOf,
  type Version,
  type WalChange,
  writeRow,
  xid32,
} from './database.ts';
import type { Ledger } from './ledger.ts';
import type { Random } from './random.ts';
import { childrenOf } from './references.ts';
import type { Scenario } from './scenario.ts';

/** One of the users' transactions: some writes, committed at once. Its xid may have been taken long ago. */
export const localTransaction = (
  database: Database,
  scenario: Scenario,
  random: Random,
  ledger: Ledger,
): void => {
  tick(database, scenario, random);
  const xid =
    database.running.length > 0 && random.chance(0.5)
      ? database.running.splice(random.below(database.running.length), 1)[0]!
      : beginXid(database);
  const write = new LocalWrite(database, scenario, random, xid);
  if (scenario.writes === 'counters') write.count(ledger);
  else if (scenario.writes === 'columns') write.ownColumn(ledger);
  else if (
    scenario.truncates &&
    !(scenario.shards > 1 && scenario.writes === 'turns') &&
    random.chance(scenario.churn ? 0.15 : 0.05)
  )
    write.truncate();
  else for (let i = random.pick([1, 1, 1, 2, 3]); i > 0; i--) write.something();
  if (write.changes.length > 0)
    database.wal.push({ kind: 'local', xid, commit: database.clock, changes: write.changes });
};

/** A transaction that begins now and commits later. */
export const beginLong = (database: Database): void => {
  database.running.push(beginXid(database));
};

/** The heartbeat: the oldest running transaction at its snapshot is the floor. */
export const heartbeat = (database: Database): void => {
  const xid = beginXid(database);
  const floor = database.running.reduce((least, running) => (running < least ? running : least), xid);
  database.wal.push({
    kind: 'heartbeat',
    xid,
    commit: database.clock,
    changes: [],
    floor,
    next: database.nextXid,
  });
};

/** Time goes on, stands still, or the clock is set. */
export const tick = (database: Database, scenario: Scenario, random: Random): void => {
  database.clock += BigInt(random.below(3));
  if (scenario.clockSteps && random.chance(0.05)) database.clock += BigInt(random.below(2000) - 1000);
};

/**
 * A write of one untouched key while an apply transaction is under way: it commits first, though its xid is the higher
 * one, and apply has read neither the row nor that there is one.
 */
export const writeMeanwhile = (
  database: Database,
  scenario: Scenario,
  random: Random,
  touched: Set<string>,
): void => {
  const free = scenario.keys.filter((key) => !touched.has(key));
  if (free.length === 0) return;
  const xid = beginXid(database);
  const write = new LocalWrite(database, scenario, random, xid);
  const key = random.pick(free);
  if (database.state.rows.has(key)) write.mark(key);
  else write.insert(key, true);
  database.wal.push({ kind: 'local', xid, commit: database.clock, changes: write.changes });
};

class LocalWrite {
  readonly changes: WalChange[] = [];
  private readonly database: Database;
  private readonly scenario: Scenario;
  private readonly random: Random;
  private readonly xid: bigint;

  constructor(database: Database, scenario: Scenario, random: Random, xid: bigint) {
    this.database = database;
    this.scenario = scenario;
    this.random = random;
    this.xid = xid;
  }

  something(): void {
    const { random, scenario } = this;
    const key = random.pick(scenario.keys);
    const there = this.database.state.rows.has(key);
    const what = scenario.churn ? random.pick([0, 0, 0, 3, 3, 8, 8, 9, 9, 10, 11]) : random.below(12);
    if (what < 3) {
      if (!there) this.insert(key);
    } else if (!there) return;
    else if (what < 8) this.update(key);
    else if (what < 9) this.delete(key);
    else if (what < 10) this.move(key);
    else if (what < 11) this.swap(key);
    else {
      this.delete(key);
      if (!this.database.state.rows.has(key)) this.insert(key);
    }
  }

  insert(key: string, plain = false): void {
    const parent = this.scenario.missingParent ? [plain ? null : this.anyParent(key)] : [];
    const row = [key, this.newValue(), this.newValue(), '0', null, null, ...parent];
    if (!plain) for (const column of [columns.u, columns.v]) row[column] = this.freeValue(column, key);
    this.put(row);
    this.changes.push({ op: 'insert', table: 0, key, row });
  }

  update(key: string): void {
    const old = this.database.state.rows.get(key)!.row;
    const changed = [columns.x, columns.y, columns.n, columns.u, columns.v].filter(() =>
      this.random.chance(0.4),
    );
    const row = [...old];
    if (this.scenario.missingParent && this.random.chance(0.3)) row[columns.p] = this.anyParent(key);
    for (const column of changed) {
      if (column === columns.n) row[column] = String(Number(row[column]) + 1 + this.random.below(5));
      else if (column === columns.x || column === columns.y) row[column] = this.newValue();
      else row[column] = this.freeValue(column, key) ?? null;
    }
    this.put(row);
    this.changes.push({ op: 'update', table: 0, key, row: this.sent(row, old), ...this.oldOf(old) });
  }

  /** Changes one column that is in no unique key. */
  mark(key: string): void {
    const old = this.database.state.rows.get(key)!.row;
    const row = old.map((value, column) => (column === columns.x ? this.newValue() : value));
    this.put(row);
    this.push('update', key, row, old);
  }

  /** Rows that refer to it go along, behind it; or it stays. */
  delete(key: string): void {
    const children = this.scenario.missingParent ? childrenOf(this.database.state, key) : [];
    if (children.length > 0 && this.random.chance(0.5)) return;
    this.deleteRow(key);
    for (const child of children) if (this.database.state.rows.has(child)) this.deleteAll(child);
  }

  private deleteAll(key: string): void {
    const children = childrenOf(this.database.state, key);
    this.deleteRow(key);
    for (const child of children) if (this.database.state.rows.has(child)) this.deleteAll(child);
  }

  private deleteRow(key: string): void {
    const old = this.database.state.rows.get(key)!.row;
    this.database.state.rows.delete(key);
    this.database.state.tombstones.set(key, this.database.clock);
    this.changes.push({ op: 'delete', table: 0, key, ...this.oldOf(old) });
  }

  move(key: string): void {
    // What concerns several shards may be a conflict until a heartbeat has passed it.
    if (this.scenario.shards > 1 && this.scenario.writes === 'turns') return;
    const to = this.random.pick(this.scenario.keys);
    if (this.database.state.rows.has(to)) return;
    if (this.scenario.missingParent && childrenOf(this.database.state, key).length > 0) return;
    const old = this.database.state.rows.get(key)!.row;
    const row = [...old];
    row[columns.id] = to;
    if (this.random.chance(0.5)) row[columns.x] = this.newValue();
    this.database.state.rows.delete(key);
    this.put(row);
    this.changes.push({ op: 'move', table: 0, key, to, row: this.sent(row, old), ...this.oldOf(old) });
  }

  /** Two rows change their unique values: through NULL, or at once where the constraint is deferred. */
  swap(key: string): void {
    if (this.scenario.shards > 1) return;
    const other = this.random.pick(this.scenario.keys);
    const rows = this.database.state.rows;
    const column = this.random.pick([columns.u, columns.v]);
    if (other === key || !rows.has(other)) return;
    const [one, two] = [rows.get(key)!.row, rows.get(other)!.row];
    const set = (row: Row, value: Value) => row.map((each, index) => (index === column ? value : each));
    const states = [set(one, null), set(two, one[column]), set(one, two[column])];
    rows.set(key, this.version(states[2]!));
    rows.set(other, this.version(states[1]!));
    const through = this.scenario.writes === 'turns' || this.random.chance(0.6);
    if (through) this.push('update', key, states[0]!, one);
    this.push('update', other, states[1]!, two);
    this.push('update', key, states[2]!, through ? states[0]! : one);
  }

  truncate(): void {
    for (const key of this.database.state.rows.keys())
      this.database.state.tombstones.set(key, this.database.clock);
    this.database.state.rows.clear();
    this.changes.push({ op: 'truncate', table: 0, key: '' });
  }

  /** Only increments: at the end they must all be there. */
  count(ledger: Ledger): void {
    for (let i = this.random.pick([1, 1, 2]); i > 0; i--) {
      const key = this.random.pick(this.scenario.keys);
      const old = this.database.state.rows.get(key)!.row;
      const by = this.random.below(9) - 3;
      const row = [...old];
      row[columns.n] = String(Number(old[columns.n]) + by);
      if (this.random.chance(0.3)) row[columns.x] = this.newValue();
      ledger.count(key, by);
      this.put(row);
      this.push('update', key, row, old);
    }
  }

  /** Each side writes a column of its own: at the end both last values must be there. */
  ownColumn(ledger: Ledger): void {
    const key = this.random.pick(this.scenario.keys);
    const old = this.database.state.rows.get(key)!.row;
    const column = this.database.side === 'a' ? columns.x : columns.y;
    const row = [...old];
    row[column] = this.newValue();
    ledger.last(key, column, row[column]!);
    this.put(row);
    this.push('update', key, row, old);
  }

  private push(op: 'update', key: string, row: Row, old: Row): void {
    this.changes.push({ op, table: 0, key, row: this.sent(row, old), ...this.oldOf(old) });
  }

  private put(row: Row): void {
    writeRow(this.database.state, this.version(row));
  }

  /** A subtransaction's rows have an xid that Begin does not name. */
  private version(row: Row): Version {
    const inner = this.scenario.subtransactions && this.random.chance(0.3);
    const xid = inner ? beginXid(this.database) : this.xid;
    return { row, xmin: xid32(xid), time: this.database.clock, side: this.database.side };
  }

  /** As pgoutput sends the new row: unchanged TOASTed values are left out. */
  private sent(row: Row, old: Row): Row {
    return row.map((value, column) => {
      const toasted = column !== columns.id && column !== columns.n && value !== null;
      return toasted && value === old[column] && this.random.chance(0.6) ? undefined : value;
    });
  }

  private oldOf(old: Row): { old?: Row } {
    return this.scenario.full ? { old } : {};
  }

  private anyParent(key: string): string | null {
    const parent = this.random.pick([...this.database.state.rows.keys(), null]);
    return parent === key ? null : parent;
  }

  private freeValue(column: number, key: string): string | null {
    if (this.scenario.shards > 1) return null;
    const value = this.random.pick([null, '0', '1', '2']);
    return value !== null && ownerOf(this.database.state, column, value, key) === undefined ? value : null;
  }

  private marks = 0;
  private newValue(): string {
    return `${this.database.side}${this.xid & 0xffffn}.${this.marks++}`;
  }
}
