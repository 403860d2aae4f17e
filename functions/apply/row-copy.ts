import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { from as copyFrom } from 'pg-copy-streams';
import { codeOf } from '../../shared/postgres/sqlstate.ts';
import { CopyCollides, copyText, noteCollision, type Tuples } from './copy-rows.ts';
import type { Session } from './session.ts';
import { type ApplyTable, columnList } from './tables.ts';

/** So much may wait for the socket: the server takes it while the next rows are decoded. */
const WAITING_BYTES = 4 * 1024 * 1024;

/**
 * One COPY of new rows, less work for the server than an INSERT of arrays. It is open for as long as rows come: nothing
 * else may be sent on the session meanwhile.
 */
export class RowCopy {
  readonly table: ApplyTable;
  readonly #stream: ReturnType<typeof copyFrom>;
  readonly #done: Promise<void>;
  #count = 0;

  constructor(session: Session, table: ApplyTable) {
    this.table = table;
    const columns = columnList(
      table,
      table.columns.map((_, c) => c),
    );
    const sql = /* sql */ `copy ${table.sql} (${columns}) from stdin`;
    const stream = copyFrom(sql, { highWaterMark: WAITING_BYTES });
    this.#stream = stream;
    this.#done = session.alone(async (client) => finished(client.query(stream)));
    // Told by the next `add`, or by `end`.
    this.#done.catch(() => {});
  }

  /** Sends rows, which are at these offsets of `bytes`. */
  async add(bytes: Buffer, tuples: Tuples, count: number): Promise<void> {
    this.#count += count;
    const stream = this.#stream;
    for (const text of copyText(bytes, this.table, tuples)) {
      if (stream.destroyed) break;
      if (!stream.write(text)) await once(stream, 'drain').catch(() => {});
    }
    // It has failed: the end tells why.
    if (stream.destroyed) await this.end();
  }

  /** All rows have been sent and are there. Throws `CopyCollides`. */
  async end(): Promise<void> {
    try {
      this.#stream.end();
      await this.#done;
    } catch (error) {
      // Class 23: of a unique or another constraint. Which row it was an INSERT tells.
      if (!/^23/.test(codeOf(error))) throw error;
      noteCollision(this.table);
      throw new CopyCollides('a row of a COPY was refused', { cause: error });
    }
    // Triggers may leave rows out.
    if (this.#stream.rowCount === this.#count) return;
    noteCollision(this.table);
    throw new CopyCollides('a COPY left rows out');
  }

  /** Gives up what was sent; the transaction has failed with it. */
  async abandon(): Promise<void> {
    this.#stream.destroy();
    await this.#done.catch(() => {});
  }
}
