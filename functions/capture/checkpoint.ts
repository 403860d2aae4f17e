import { z } from 'zod';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { Table } from '../../shared/task/table.ts';

/**
 * What belongs to the WAL position that is confirmed to the slot: saved before confirming. A stream that starts again
 * starts from it. Replaced only by its reader's conditional write, so a former owner of the lease can't turn it back.
 */
const checkpoint = z.strictObject({
  generation: z.number().int(),
  epoch: z.number().int(),
  lsn: z.string(),
  position: z.string().nullable(),
  seen: z.string(),
  newest: z.string(),
});
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

  /** Throws `lease-lost` if somebody else has written meanwhile. */
  async save(value: Checkpoint): Promise<void> {
    const item = { pk: this.#task, sk: 'checkpoint', version: this.#version + 1, body: value };
    const written = await this.#table.put(item, this.#version === 0 ? 'absent' : this.#version);
    if (!written && !(await this.#wasWritten(value, item.version)))
      throw new PgtwinError('lease-lost', {
        task: this.#task,
        detail: 'Another capture has written the checkpoint.',
      });
    this.#version = item.version;
  }

  /** A put whose answer was lost is refused when it is repeated, although it was ours. */
  async #wasWritten(value: Checkpoint, version: number): Promise<boolean> {
    const item = await this.#table.get(this.#task, 'checkpoint');
    const parsed = checkpoint.safeParse(item?.body);
    return (
      item?.version === version &&
      parsed.success &&
      parsed.data.lsn === value.lsn &&
      parsed.data.epoch === value.epoch
    );
  }
}
