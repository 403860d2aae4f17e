import { z } from 'zod';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { asPosition, zeroPosition } from '../../shared/stream/position.ts';
import type { Table } from '../../shared/task/table.ts';

/**
 * What belongs to the WAL position that is confirmed to the slot: saved before confirming. A stream that starts again
 * starts from it. Replaced only by its reader's conditional write, so a former owner of the lease can't turn it back.
 */
const run = { generation: z.number().int(), epoch: z.number().int(), lsn: z.string(), newest: z.string() };
const position = z.string().transform((text) => asPosition(text));
const shard = z.strictObject({ position, seen: z.string() });
const current = z.strictObject({ ...run, shards: z.array(shard).min(1) });
/** As it was written before there were shards. */
const former = z
  .strictObject({ ...run, position: position.nullable(), seen: z.string() })
  .transform(({ position: at, seen, ...rest }) => ({
    ...rest,
    shards: [{ position: at ?? zeroPosition, seen }],
  }));
const checkpoint = z.union([current, former]);
export type Checkpoint = z.infer<typeof checkpoint>;

/** Reads and writes the checkpoint of one task for one owner. */
export class CheckpointStore {
  readonly #table: Table;
  readonly #task: string;
  #version = 0;

  constructor(table: Table, task: string) {
    this.#table = table;
    this.#task = task;
  }

  /** Undefined if there is none of this generation: then nothing was seen. */
  async read(generation: number): Promise<Checkpoint | undefined> {
    const item = await this.#table.get(this.#task, 'checkpoint');
    this.#version = item?.version ?? 0;
    if (!item) return undefined;
    const parsed = checkpoint.safeParse(item.body);
    if (!parsed.success)
      throw new PgtwinError('internal', { detail: `The checkpoint of task ${this.#task} is not readable.` });
    return parsed.data.generation === generation ? parsed.data : undefined;
  }

  /** Throws `lease-lost` if a later epoch has written meanwhile. */
  async save(value: Checkpoint): Promise<void> {
    const item = { pk: this.#task, sk: 'checkpoint', body: value };
    for (let tries = 0; tries < TRIES; tries++) {
      const version = this.#version + 1;
      const expected = this.#version === 0 ? 'absent' : this.#version;
      if (await this.#table.put({ ...item, version }, expected)) {
        this.#version = version;
        return;
      }
      // Refused: a put of ours whose answer was lost, or a former owner that did not know yet. Ours replaces both.
      const stored = await this.#table.get(this.#task, 'checkpoint');
      const parsed = checkpoint.safeParse(stored?.body);
      if (!stored || !parsed.success || order(parsed.data) > order(value)) break;
      this.#version = stored.version;
    }
    throw new PgtwinError('lease-lost', {
      task: this.#task,
      detail: 'Another capture has written the checkpoint.',
    });
  }
}

const TRIES = 5;
const order = (c: Checkpoint): string =>
  [c.generation, c.epoch].map((n) => String(n).padStart(16, '0')).join('.');
