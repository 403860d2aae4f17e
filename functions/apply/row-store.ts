import {
  type Key,
  keyOf,
  keyText,
  type Row,
  sameKey,
  type Unique,
  type Value,
} from '../../shared/conflict/rows.ts';
import { type RowWrite, writeRows } from './row-sets.ts';
import { deleteRow, insertRow, type LockedRow, lockCollision, lockRow, lockRows, updateRow } from './rows.ts';
import type { Session } from './session.ts';
import type { ApplyTable } from './tables.ts';

/**
 * The rows that decisions of one destination transaction are about. Where the table allows it they are read ahead,
 * under lock, by one statement for many keys, and written behind, by one statement for many rows. Whoever reads sees
 * what was written: a row that is to be written, and a unique value, is read only once all writes are carried out.
 */
export class RowStore {
  readonly #session: Session;
  readonly #mayHold: boolean;
  /** By the text of their keys; null where there is no row. */
  readonly #ahead = new Map<ApplyTable, Map<string, LockedRow | null>>();
  /** Keys that were written since their rows were read ahead. */
  readonly #written = new Set<string>();
  #behind: RowWrite[] = [];

  /** `inSets` false: every statement is about one row. */
  constructor(session: Session, inSets: boolean) {
    this.#session = session;
    this.#mayHold = inSets;
  }

  /** Reads rows ahead, until `flush`. Those of tables that do not allow it are read when they are asked for. */
  async readAhead(table: ApplyTable, keys: readonly Key[]): Promise<void> {
    if (!this.#inSets(table)) return;
    const found = await lockRows(this.#session, table, keys);
    const rows = this.#ahead.get(table) ?? new Map<string, LockedRow | null>();
    this.#ahead.set(table, rows);
    for (const [n, key] of keys.entries()) rows.set(keyText(key), found[n] ?? null);
  }

  async read(table: ApplyTable, key: Key): Promise<LockedRow | undefined> {
    if (!this.#written.has(idOf(table, key))) {
      const known = this.#ahead.get(table)?.get(keyText(key));
      if (known !== undefined) return known ?? undefined;
    }
    await this.#carryOut();
    return lockRow(this.#session, table, table.key, key);
  }

  async readUnique(
    table: ApplyTable,
    unique: Unique,
    values: readonly Value[],
  ): Promise<LockedRow | undefined> {
    await this.#carryOut();
    return lockCollision(this.#session, table, unique, values);
  }

  async insert(table: ApplyTable, row: Row): Promise<void> {
    if (await this.#holds({ op: 'insert', table, key: keyOf(table.table, row), row })) return;
    await insertRow(this.#session, table, row);
  }

  /** Writes what was sent of a row; its key may change. */
  async update(table: ApplyTable, key: Key, row: Row): Promise<void> {
    const to = table.key.map((k, i) => row[k] ?? key[i]!);
    if (sameKey(key, to) && (await this.#holds({ op: 'update', table, key, row }))) return;
    await this.#carryOut();
    this.#written.add(idOf(table, key)).add(idOf(table, to));
    await updateRow(this.#session, table, key, row);
  }

  async delete(table: ApplyTable, key: Key): Promise<void> {
    if (await this.#holds({ op: 'delete', table, key, row: [] })) return;
    await deleteRow(this.#session, table, key);
  }

  /** Carries out what is held back, and forgets what was read ahead. */
  async flush(): Promise<void> {
    await this.#carryOut();
    this.#ahead.clear();
    this.#written.clear();
  }

  /** True if the write is held back. Of a key there is one at most: they are carried out by operation. */
  async #holds(write: RowWrite): Promise<boolean> {
    const id = idOf(write.table, write.key);
    const held = this.#inSets(write.table);
    if (!held || this.#written.has(id)) await this.#carryOut();
    this.#written.add(id);
    if (held) this.#behind.push(write);
    return held;
  }

  async #carryOut(): Promise<void> {
    if (this.#behind.length === 0) return;
    const writes = this.#behind;
    this.#behind = [];
    await writeRows(this.#session, writes);
  }

  /** Triggers may write what was read. */
  #inSets(table: ApplyTable): boolean {
    return this.#mayHold && table.inSets && (this.#session.replica || !table.hasTriggers);
  }
}

const idOf = (table: ApplyTable, key: Key): string => `${table.sql} ${keyText(key)}`;
